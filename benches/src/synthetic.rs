//! Made-up security events for the storage and search figures: flat Windows process and network events,
//! about 600 bytes of JSON and 14 fields each, in order of time. The same seed gives the same bytes.

use std::io::{self, Write};

use covigil_model::Time;

/// A value that stands in one event of 700,000, inside a longer command line: the needle.
pub const NEEDLE: &str = "mimikatz";

/// An address that one event of 60,000 came from.
pub const RARE_ADDRESS: &str = "203.0.113.77";

/// SplitMix64 (Steele, Lea and Flood, 2014): small, seeded, good enough to choose values with.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Small numbers more often than large ones, as hosts, users and programs are distributed.
    fn skewed(&mut self, n: u64) -> u64 {
        let (a, b) = (self.below(n), self.below(n));
        a * b / n
    }
}

const PROGRAMS: [&str; 12] = [
    "svchost.exe",
    "chrome.exe",
    "powershell.exe",
    "cmd.exe",
    "outlook.exe",
    "teams.exe",
    "python.exe",
    "msiexec.exe",
    "rundll32.exe",
    "wmiprvse.exe",
    "git.exe",
    "backgroundTaskHost.exe",
];
const FOLDERS: [&str; 5] = [
    r"C:\\Windows\\System32",
    r"C:\\Program Files\\Common",
    r"C:\\Program Files (x86)\\Vendor",
    r"C:\\Users\\Public\\AppData\\Local",
    r"C:\\Windows\\SysWOW64",
];

/// Writes `count` events as JSON lines, 50 ms apart on average from `start` on.
pub fn write_events(out: &mut impl Write, count: u64, start: Time, seed: u64) -> io::Result<()> {
    let mut dice = Dice(seed);
    let mut time = start;
    for number in 1..=count {
        time = time.plus_nanos(dice.below(100_000) as i64 * 1_000);
        let host = dice.skewed(400);
        let user = dice.skewed(1_500);
        let program = PROGRAMS[dice.skewed(12) as usize];
        let folder = FOLDERS[dice.skewed(5) as usize];
        let parent = PROGRAMS[dice.skewed(12) as usize];
        let binary = dice.skewed(20_000);
        let mut hash = Dice(binary);
        let address = if dice.below(60_000) == 0 {
            RARE_ADDRESS.to_owned()
        } else {
            format!("10.{}.{}.{}", host % 16, host / 16, dice.skewed(250))
        };
        let target =
            format!("{}.{}.{}.{}", 20 + dice.skewed(60), dice.below(60), dice.below(200), dice.below(250));
        let port = [443, 80, 53, 445, 389, 3389, 22, 8080][dice.skewed(8) as usize];
        let argument = if dice.below(700_000) == 0 {
            format!("/c start invoke-{NEEDLE}.ps1 -dump")
        } else {
            format!(
                "--profile {} --task {} --session {:012x} --out C:\\\\Users\\\\user{user:05}\\\\AppData\\\\Local\\\\Temp\\\\{:08x}.tmp",
                dice.skewed(300),
                dice.skewed(2_000),
                dice.next() >> 16,
                dice.next() >> 40,
            )
        };
        writeln!(
            out,
            r#"{{"UtcTime":"{time}","EventID":{event},"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"ws-{host:04}.corp.example","User":"CORP\\user{user:05}","ProcessId":{pid},"Image":"{folder}\\{program}","CommandLine":"\"{folder}\\{program}\" {argument}","ParentImage":"C:\\Windows\\System32\\{parent}","SourceIp":"{address}","DestinationIp":"{target}","DestinationPort":{port},"Hashes":"SHA256={a:016x}{b:016x}{c:016x}{d:016x}","IntegrityLevel":"{level}"}}"#,
            event = if number % 3 == 0 { 1 } else { 3 },
            pid = 4 * dice.skewed(5_000),
            a = hash.next(),
            b = hash.next(),
            c = hash.next(),
            d = hash.next(),
            level = ["Medium", "System", "High"][dice.skewed(3) as usize],
        )?;
    }
    Ok(())
}
