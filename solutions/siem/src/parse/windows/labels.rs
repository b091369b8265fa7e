//! Sigma's labels for Windows logs: which service a channel is, and which categories a record
//! belongs to.

/// The service of a channel; where the channel is missing, or is a collector's, of a provider that
/// writes to one only.
pub(super) fn service(channel: &str, provider: &str) -> &'static str {
    if !matches!(channel, "" | "ForwardedEvents") {
        return of_channel(channel);
    }
    match provider {
        "Microsoft-Windows-Sysmon" => "sysmon",
        "Microsoft-Windows-Security-Auditing" => "security",
        "Microsoft-Windows-PowerShell" | "PowerShellCore" => "powershell",
        "PowerShell" => "powershell-classic",
        "Microsoft-Windows-TaskScheduler" => "taskscheduler",
        "Microsoft-Windows-Windows Defender" => "windefend",
        "Microsoft-Windows-WMI-Activity" => "wmi",
        "Microsoft-Windows-Bits-Client" => "bits-client",
        "Service Control Manager" => "system",
        _ => "",
    }
}

fn of_channel(channel: &str) -> &'static str {
    match channel {
        "Security" => "security",
        "System" => "system",
        "Application" => "application",
        "Windows PowerShell" => "powershell-classic",
        "DNS Server" => "dns-server",
        "DFS Replication" => "dfs-replication",
        "Directory Service" => "directory-service",
        "MSExchange Management" => "msexchange-management",
        "OpenSSH/Operational" => "openssh",
        "OpenSSH/Admin" => "openssh",
        "PowerShellCore/Operational" => "powershell",
        "Microsoft-IIS-Configuration/Operational" => "iis-configuration",
        "Microsoft-IIS-Configuration/Administrative" => "iis-configuration",
        "Microsoft-ServiceBus-Client/Admin" => "microsoft-servicebus-client",
        "Microsoft-ServiceBus-Client/Operational" => "microsoft-servicebus-client",
        _ => match channel.strip_prefix("Microsoft-Windows-") {
            Some(rest) => of_windows_channel(rest),
            None => "",
        },
    }
}

/// Channels that begin with `Microsoft-Windows-`, without that.
fn of_windows_channel(rest: &str) -> &'static str {
    match rest {
        "Sysmon/Operational" => "sysmon",
        "PowerShell/Operational" | "PowerShell/Admin" => "powershell",
        "TaskScheduler/Operational" => "taskscheduler",
        "Windows Defender/Operational" | "Windows Defender/WHC" => "windefend",
        "WMI-Activity/Operational" => "wmi",
        "Bits-Client/Operational" => "bits-client",
        "NTLM/Operational" => "ntlm",
        "CodeIntegrity/Operational" => "codeintegrity-operational",
        "Windows Firewall With Advanced Security/Firewall" => "firewall-as",
        "TerminalServices-LocalSessionManager/Operational" => "terminalservices-localsessionmanager",
        "TerminalServices-RemoteConnectionManager/Operational" => "terminalservices-remoteconnectionmanager",
        "TerminalServices-RDPClient/Operational" => "terminalservices-rdpclient",
        "RemoteDesktopServices-RdpCoreTS/Operational" => "remotedesktopservices-rdpcorets",
        "AppLocker/EXE and DLL"
        | "AppLocker/MSI and Script"
        | "AppLocker/Packaged app-Deployment"
        | "AppLocker/Packaged app-Execution" => "applocker",
        "PrintService/Admin" => "printservice-admin",
        "PrintService/Operational" => "printservice-operational",
        "SmbClient/Security" | "SMBClient/Security" => "smbclient-security",
        "SmbClient/Connectivity" | "SMBClient/Connectivity" => "smbclient-connectivity",
        "SMBServer/Connectivity" => "smbserver-connectivity",
        "SMBServer/Security" => "smbserver-security",
        "DriverFrameworks-UserMode/Operational" => "driver-framework",
        "LDAP-Client/Debug" => "ldap",
        "LSA/Operational" => "lsa-server",
        "AppXDeploymentServer/Operational" => "appxdeployment-server",
        "AppxPackaging/Operational" => "appxpackaging-om",
        "AppModel-Runtime/Admin" => "appmodel-runtime",
        "Diagnosis-Scripted/Operational" => "diagnosis-scripted",
        "Shell-Core/Operational" => "shell-core",
        "CAPI2/Operational" => "capi2",
        "CertificateServicesClient-Lifecycle-System/Operational" => {
            "certificateservicesclient-lifecycle-system"
        }
        "DNS Client Events/Operational" | "DNS-Client/Operational" => "dns-client",
        "DNSServer/Audit" | "DNS-Server/Audit" => "dns-server-audit",
        "DNSServer/Analytical" | "DNS-Server/Analytical" | "DNS-Server-Service/Analytical" => {
            "dns-server-analytic"
        }
        "DHCP-Server/Operational" => "dhcp",
        "Security-Mitigations/Kernel Mode"
        | "Security-Mitigations/User Mode"
        | "Security-Mitigations/KernelMode"
        | "Security-Mitigations/UserMode" => "security-mitigations",
        "Kernel-EventTracing" | "Kernel-EventTracing/Admin" => "kernel-event-tracing",
        "Kernel-ShimEngine/Operational" | "Kernel-ShimEngine/Diagnostic" => "kernel-shimengine",
        "Application-Experience/Program-Telemetry"
        | "Application-Experience/Program-Compatibility-Assistant" => "application-experience",
        "Ntfs/Operational" => "ntfs",
        "Hyper-V-Worker" | "Hyper-V-Worker-Admin" | "Hyper-V-Worker-Operational" => "hyper-v-worker",
        "SENSE/Operational" => "sense",
        "VHDMP/Operational" | "VHDMP-Operational" => "vhdmp",
        "BitLocker/BitLocker Management" => "bitlocker",
        "GroupPolicy/Operational" => "grouppolicy",
        "WinRM/Operational" => "winrm",
        "Windows Remote Management/Operational" => "winrm",
        _ => "",
    }
}

/// The categories of a record.
pub(super) fn categories(
    service: &str,
    provider: &str,
    id: u32,
    event_type: &str,
) -> &'static [&'static str] {
    match service {
        "sysmon" => of_sysmon(id, event_type),
        "security" => match id {
            4688 => &["process_creation"],
            4657 => &["registry_set", "registry_event"],
            _ => &[],
        },
        "powershell" => match id {
            4103 => &["ps_module"],
            4104 => &["ps_script"],
            _ => &[],
        },
        "powershell-classic" => match id {
            400 => &["ps_classic_start"],
            600 => &["ps_classic_provider_start"],
            800 => &["ps_classic_script"],
            _ => &[],
        },
        "windefend" => match id {
            1006..=1012 | 1015 | 1017..=1019 | 1115..=1119 => &["antivirus"],
            _ => &[],
        },
        _ if provider == "Microsoft-Windows-Kernel-File" => match id {
            12 => &["file_access"],
            19 | 27 => &["file_rename"],
            26 => &["file_delete"],
            30 => &["file_event"],
            _ => &[],
        },
        _ => &[],
    }
}

fn of_sysmon(id: u32, event_type: &str) -> &'static [&'static str] {
    match id {
        1 => &["process_creation"],
        2 => &["file_change"],
        3 => &["network_connection"],
        4 | 16 => &["sysmon_status"],
        5 => &["process_termination"],
        6 => &["driver_load"],
        7 => &["image_load"],
        8 => &["create_remote_thread"],
        9 => &["raw_access_thread"],
        10 => &["process_access"],
        11 => &["file_event"],
        12 => match event_type {
            "DeleteKey" | "DeleteValue" => &["registry_delete", "registry_event"],
            "CreateKey" | "CreateValue" => &["registry_add", "registry_event"],
            _ => &["registry_event"],
        },
        13 => &["registry_set", "registry_event"],
        14 => &["registry_rename", "registry_event"],
        15 => &["create_stream_hash"],
        17 | 18 => &["pipe_created"],
        19..=21 => &["wmi_event"],
        22 => &["dns_query"],
        23 => &["file_delete"],
        24 => &["clipboard_change", "clipboard_capture"],
        25 => &["process_tampering"],
        26 => &["file_delete", "file_delete_detected"],
        27 => &["file_block_executable"],
        28 => &["file_block_shredding"],
        29 => &["file_executable_detected"],
        255 => &["sysmon_error"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_set_belongs_to_two_categories() {
        assert_eq!(categories("sysmon", "", 13, "SetValue"), ["registry_set", "registry_event"]);
        assert_eq!(categories("sysmon", "", 12, "DeleteKey"), ["registry_delete", "registry_event"]);
    }

    #[test]
    fn a_missing_channel_is_made_up_for_by_the_provider() {
        assert_eq!(service("", "Microsoft-Windows-Sysmon"), "sysmon");
        assert_eq!(service("ForwardedEvents", "Microsoft-Windows-Sysmon"), "sysmon");
        assert_eq!(service("Unheard/Of", "Anybody"), "");
    }
}
