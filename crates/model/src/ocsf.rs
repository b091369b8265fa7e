//! The part of OCSF that is stored in columns of its own.
//!
//! Names follow OCSF 1.x (`metadata.version` "1.6.0"). A source field without a column stays
//! reachable under the source's own name; it is stored among the unmapped fields.

use serde::{Deserialize, Serialize};

/// An OCSF event class by its `class_uid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Class(pub u32);

impl Class {
    /// 0: Base Event, for what has no better class.
    pub const BASE: Self = Self(0);
    /// 1001: File System Activity.
    pub const FILE: Self = Self(1001);
    /// 1002: Kernel Extension Activity.
    pub const KERNEL_EXTENSION: Self = Self(1002);
    /// 1003: Kernel Activity.
    pub const KERNEL: Self = Self(1003);
    /// 1005: Module Activity.
    pub const MODULE: Self = Self(1005);
    /// 1006: Scheduled Job Activity.
    pub const SCHEDULED_JOB: Self = Self(1006);
    /// 1007: Process Activity.
    pub const PROCESS: Self = Self(1007);
    /// 1008: Event Log Activity.
    pub const EVENT_LOG: Self = Self(1008);
    /// 1009: Script Activity.
    pub const SCRIPT: Self = Self(1009);
    /// 2004: Detection Finding.
    pub const DETECTION_FINDING: Self = Self(2004);
    /// 3001: Account Change.
    pub const ACCOUNT_CHANGE: Self = Self(3001);
    /// 3002: Authentication.
    pub const AUTHENTICATION: Self = Self(3002);
    /// 3003: Authorize Session.
    pub const AUTHORIZE_SESSION: Self = Self(3003);
    /// 3006: Group Management.
    pub const GROUP: Self = Self(3006);
    /// 4001: Network Activity.
    pub const NETWORK: Self = Self(4001);
    /// 4002: HTTP Activity.
    pub const HTTP: Self = Self(4002);
    /// 4003: DNS Activity.
    pub const DNS: Self = Self(4003);
    /// 5001: Device Inventory Info.
    pub const INVENTORY: Self = Self(5001);
    /// 5020: Software Inventory Info.
    pub const SOFTWARE_INVENTORY: Self = Self(5020);
    /// 6002: Application Lifecycle.
    pub const APPLICATION_LIFECYCLE: Self = Self(6002);
    /// 6003: API Activity.
    pub const API: Self = Self(6003);
    /// 201001: Registry Key Activity (Windows extension).
    pub const REGISTRY_KEY: Self = Self(201_001);
    /// 201002: Registry Value Activity (Windows extension).
    pub const REGISTRY_VALUE: Self = Self(201_002);

    /// The class's caption in OCSF; `Other` for classes outside this list.
    pub const fn caption(self) -> &'static str {
        match self.0 {
            0 => "Base Event",
            1001 => "File System Activity",
            1002 => "Kernel Extension Activity",
            1003 => "Kernel Activity",
            1005 => "Module Activity",
            1006 => "Scheduled Job Activity",
            1007 => "Process Activity",
            1008 => "Event Log Activity",
            1009 => "Script Activity",
            2004 => "Detection Finding",
            3001 => "Account Change",
            3002 => "Authentication",
            3003 => "Authorize Session",
            3006 => "Group Management",
            4001 => "Network Activity",
            4002 => "HTTP Activity",
            4003 => "DNS Activity",
            5001 => "Device Inventory Info",
            5020 => "Software Inventory Info",
            6002 => "Application Lifecycle",
            6003 => "API Activity",
            201_001 => "Registry Key Activity",
            201_002 => "Registry Value Activity",
            _ => "Other",
        }
    }
}

/// OCSF `status_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// 0.
    Unknown,
    /// 1.
    Success,
    /// 2.
    Failure,
}

impl Status {
    /// OCSF `status_id`.
    pub const fn ocsf_id(self) -> u8 {
        self as u8
    }

    /// The status's lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// How a column is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttrType {
    /// Text.
    Text,
    /// Signed 64-bit number; a value that is not one is left to the unmapped fields.
    Integer,
}

macro_rules! attrs {
    ($($(#[$doc:meta])* $name:ident = $path:literal : $kind:ident;)*) => {
        /// An OCSF attribute that is stored in a column of its own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Attr { $(#[doc = concat!("`", $path, "`")] $(#[$doc])* $name,)* }

        impl Attr {
            /// All attributes, in column order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The attribute's path in OCSF, with dots.
            pub const fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            /// How it is stored.
            pub const fn kind(self) -> AttrType {
                match self { $(Self::$name => AttrType::$kind,)* }
            }

            /// The attribute of an OCSF path.
            pub fn from_path(path: &str) -> Option<Self> {
                Some(match path { $($path => Self::$name,)* _ => return None })
            }
        }
    };
}

// One table gives variant, path and type together; a function could not make the enum.
attrs! {
    /// Product that wrote the log: `sshd`, `Sysmon`, ….
    Product = "metadata.product.name": Text;
    /// Log within the product: a Windows channel, a syslog facility, a file.
    LogName = "metadata.log_name": Text;
    /// Windows provider and the like.
    LogProvider = "metadata.log_provider": Text;
    /// The source's code for this kind of event, such as a Windows event id.
    EventCode = "metadata.event_code": Text;
    /// Name of the machine that it happened on.
    DeviceHostname = "device.hostname": Text;
    /// Address of the machine that it happened on.
    DeviceIp = "device.ip": Text;
    /// Who did it.
    ActorUserName = "actor.user.name": Text;
    /// Id of who did it (SID, uid).
    ActorUserUid = "actor.user.uid": Text;
    /// Name of the program that did it.
    ActorProcessName = "actor.process.name": Text;
    /// Path of the program that did it.
    ActorProcessPath = "actor.process.file.path": Text;
    /// Process id of the program that did it.
    ActorProcessPid = "actor.process.pid": Integer;
    /// Whom it was done to, or who signed in.
    UserName = "user.name": Text;
    /// Domain of that user.
    UserDomain = "user.domain": Text;
    /// Id of that user.
    UserUid = "user.uid": Text;
    /// Image path of the process the event is about.
    ProcessPath = "process.file.path": Text;
    /// Command line of that process.
    ProcessCmdLine = "process.cmd_line": Text;
    /// Id of that process.
    ProcessPid = "process.pid": Integer;
    /// Unique id of that process (Sysmon's ProcessGuid).
    ProcessUid = "process.uid": Text;
    /// Image path of its parent.
    ParentPath = "process.parent_process.file.path": Text;
    /// Command line of its parent.
    ParentCmdLine = "process.parent_process.cmd_line": Text;
    /// Id of its parent.
    ParentPid = "process.parent_process.pid": Integer;
    /// Where a connection or sign-in came from.
    SrcIp = "src_endpoint.ip": Text;
    /// Its port.
    SrcPort = "src_endpoint.port": Integer;
    /// Its name.
    SrcHostname = "src_endpoint.hostname": Text;
    /// Where a connection went to.
    DstIp = "dst_endpoint.ip": Text;
    /// Its port.
    DstPort = "dst_endpoint.port": Integer;
    /// Its name.
    DstHostname = "dst_endpoint.hostname": Text;
    /// `tcp`, `udp`, ….
    Protocol = "connection_info.protocol_name": Text;
    /// File the event is about.
    FilePath = "file.path": Text;
    /// Its hashes, as the source wrote them.
    FileHashes = "file.hashes": Text;
    /// Registry key.
    RegKeyPath = "reg_key.path": Text;
    /// Registry value's data.
    RegValueData = "reg_value.data": Text;
    /// Name asked for in DNS.
    QueryHostname = "query.hostname": Text;
    /// URL asked for.
    Url = "http_request.url.url_string": Text;
    /// HTTP method.
    HttpMethod = "http_request.http_method": Text;
    /// HTTP user agent.
    UserAgent = "http_request.user_agent": Text;
    /// HTTP status code.
    HttpStatus = "http_response.code": Integer;
    /// Service or unit.
    ServiceName = "service.name": Text;
    /// Scheduled job.
    JobName = "job.name": Text;
    /// Kind of sign-in (Windows logon type).
    LogonType = "logon_type_id": Integer;
    /// Session it belongs to.
    SessionUid = "session.uid": Text;
    /// Text of a script.
    ScriptContent = "script.script_content": Text;
    /// Operation of an API, such as CloudTrail's `eventName`.
    ApiOperation = "api.operation": Text;
    /// Software package.
    PackageName = "package.name": Text;
    /// Why something failed, in the source's words.
    StatusDetail = "status_detail": Text;
    /// The message for people.
    Message = "message": Text;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_their_attributes() {
        for attr in Attr::ALL {
            assert_eq!(Attr::from_path(attr.path()), Some(*attr));
        }
    }
}
