//! Cloud platforms and services.

use covigil_model::{Attr, Class, Event, Kind, Severity, Span, Status};

use super::{Shape, alias, alias_below, status_by_error, text, value};

pub(super) const SHAPES: &[Shape] = &[
    Shape {
        services: &["cloudtrail"],
        class: (Class::API, 0),
        columns: &[
            ("eventName", Attr::ApiOperation),
            ("eventSource", Attr::ServiceName),
            ("sourceIPAddress", Attr::SrcIp),
            ("userAgent", Attr::UserAgent),
            ("userIdentity.userName", Attr::ActorUserName),
            ("userIdentity.sessionContext.sessionIssuer.userName", Attr::ActorUserName),
            ("userIdentity.arn", Attr::ActorUserUid),
            ("requestParameters.userName", Attr::UserName),
            ("errorCode", Attr::StatusDetail),
            ("errorMessage", Attr::Message),
        ],
        finish: cloudtrail,
        ..Shape::of(&["eventSource", "eventName"], "aws")
    },
    Shape {
        services: &["guardduty"],
        class: (Class::DETECTION_FINDING, 1),
        columns: &[
            ("title", Attr::Message),
            ("type", Attr::EventCode),
            ("resource.resourceType", Attr::ServiceName),
        ],
        finish: guardduty,
        ..Shape::of(&["schemaVersion", "accountId", "service.serviceName", "severity"], "aws")
    },
    Shape {
        services: &["vpcflow"],
        categories: &["firewall"],
        class: (Class::NETWORK, 6),
        columns: &[
            ("srcAddr", Attr::SrcIp),
            ("dstAddr", Attr::DstIp),
            ("srcPort", Attr::SrcPort),
            ("dstPort", Attr::DstPort),
        ],
        aliases: &[
            ("srcAddr", "src_ip"),
            ("srcPort", "src_port"),
            ("dstAddr", "dst_ip"),
            ("dstPort", "dst_port"),
        ],
        ..Shape::of(&["srcAddr", "dstAddr", "dstPort"], "aws")
    },
    Shape {
        services: &["gcp.audit"],
        class: (Class::API, 0),
        columns: &[
            ("protoPayload.methodName", Attr::ApiOperation),
            ("protoPayload.serviceName", Attr::ServiceName),
            ("protoPayload.authenticationInfo.principalEmail", Attr::ActorUserName),
            ("protoPayload.requestMetadata.callerIp", Attr::SrcIp),
            ("protoPayload.requestMetadata.callerSuppliedUserAgent", Attr::UserAgent),
            ("protoPayload.status.message", Attr::StatusDetail),
        ],
        aliases: &[("protoPayload.methodName", "gcp.audit.method_name")],
        finish: gcp,
        ..Shape::of(&["protoPayload.methodName"], "gcp")
    },
    Shape {
        services: &["gcp.audit"],
        class: (Class::API, 0),
        columns: &[("protoPayload.serviceName", Attr::ServiceName)],
        finish: gcp,
        ..Shape::of(&["protoPayload.serviceName"], "gcp")
    },
    Shape {
        class: (Class::API, 0),
        columns: &[
            ("events.name", Attr::ApiOperation),
            ("name", Attr::ApiOperation),
            ("actor.email", Attr::ActorUserName),
            ("ipAddress", Attr::SrcIp),
        ],
        aliases: &[("events.name", "eventName"), ("name", "eventName")],
        finish: workspace,
        ..Shape::of(&["id.applicationName", "actor.email"], "gcp")
    },
    Shape {
        services: &["okta"],
        columns: &[
            ("eventType", Attr::ApiOperation),
            ("actor.alternateId", Attr::ActorUserName),
            ("target.alternateId", Attr::UserName),
            ("client.ipAddress", Attr::SrcIp),
            ("client.userAgent.rawUserAgent", Attr::UserAgent),
            ("outcome.reason", Attr::StatusDetail),
            ("displayMessage", Attr::Message),
        ],
        finish: okta,
        ..Shape::of(&["eventType", "actor.alternateId"], "okta")
    },
    Shape {
        services: &["okta"],
        columns: &[("eventType", Attr::ApiOperation), ("displayMessage", Attr::Message)],
        finish: okta,
        ..Shape::of(&["eventType", "legacyEventType"], "okta")
    },
    Shape {
        services: &["audit"],
        class: (Class::API, 0),
        columns: &[
            ("Operation", Attr::ApiOperation),
            ("Workload", Attr::ServiceName),
            ("UserId", Attr::ActorUserName),
            ("ClientIP", Attr::SrcIp),
            ("ClientIPAddress", Attr::SrcIp),
            ("ActorIpAddress", Attr::SrcIp),
            ("ObjectId", Attr::FilePath),
            ("UserAgent", Attr::UserAgent),
        ],
        aliases: &[("Operation", "eventName"), ("Workload", "eventSource")],
        finish: microsoft365,
        ..Shape::of(&["Operation", "Workload"], "m365")
    },
    Shape {
        class: (Class::API, 0),
        columns: AZURE_COLUMNS,
        aliases: AZURE_ALIASES,
        finish: azure,
        ..Shape::of(&["operationName", "category"], "azure")
    },
    Shape {
        services: &["riskdetection", "pim"],
        class: (Class::DETECTION_FINDING, 1),
        columns: &[
            ("riskEventType", Attr::EventCode),
            ("userPrincipalName", Attr::UserName),
            ("ipAddress", Attr::SrcIp),
        ],
        ..Shape::of(&["riskEventType"], "azure")
    },
    Shape {
        services: &["audit"],
        class: (Class::API, 0),
        columns: &[
            ("action", Attr::ApiOperation),
            ("actor", Attr::ActorUserName),
            ("user", Attr::UserName),
            ("actor_ip", Attr::SrcIp),
            ("user_agent", Attr::UserAgent),
        ],
        finish: github,
        ..Shape::of(&["action", "actor"], "github")
    },
    kubernetes_shape(&["verb", "auditID"]),
    kubernetes_shape(&["verb", "objectRef.resource"]),
    kubernetes_shape(&["verb", "requestURI"]),
    kubernetes_shape(&["objectRef.resource", "user.username"]),
    kubernetes_shape(&["requestURI", "auditID"]),
    kubernetes_shape(&["requestURI", "responseStatus.code"]),
    Shape {
        services: &["audit"],
        class: (Class::API, 0),
        columns: &[("auditType.action", Attr::ApiOperation), ("author.name", Attr::ActorUserName)],
        ..Shape::of(&["auditType.category", "auditType.action"], "bitbucket")
    },
    Shape {
        services: &["onelogin.events"],
        class: (Class::API, 0),
        columns: &[
            ("event_type_id", Attr::EventCode),
            ("actor_user_name", Attr::ActorUserName),
            ("user_name", Attr::UserName),
            ("ipaddr", Attr::SrcIp),
        ],
        ..Shape::of(&["event_type_id"], "onelogin")
    },
    Shape {
        services: &["duo"],
        class: (Class::AUTHENTICATION, 1),
        columns: &[
            ("user.name", Attr::UserName),
            ("access_device.ip", Attr::SrcIp),
            ("reason", Attr::StatusDetail),
            ("application.name", Attr::ServiceName),
        ],
        finish: duo,
        ..Shape::of(&["event_type", "factor", "result"], "cisco")
    },
];

/// The audit log of Kubernetes, by any marks: exporters leave out different members.
const fn kubernetes_shape(marks: &'static [&'static str]) -> Shape {
    Shape {
        services: &["audit"],
        categories: &["application"],
        class: (Class::API, 0),
        columns: &[
            ("verb", Attr::ApiOperation),
            ("user.username", Attr::ActorUserName),
            ("sourceIPs", Attr::SrcIp),
            ("userAgent", Attr::UserAgent),
            ("requestURI", Attr::Url),
            ("responseStatus.code", Attr::HttpStatus),
        ],
        aliases: &[("objectRef.apiGroup", "apiGroup")],
        finish: kubernetes,
        ..Shape::of(marks, "kubernetes")
    }
}

const AZURE_COLUMNS: &[(&str, Attr)] = &[
    ("operationName", Attr::ApiOperation),
    ("callerIpAddress", Attr::SrcIp),
    ("properties.ipAddress", Attr::SrcIp),
    ("properties.userPrincipalName", Attr::UserName),
    ("properties.initiatedBy.user.userPrincipalName", Attr::ActorUserName),
    ("identity", Attr::ActorUserName),
    ("properties.userAgent", Attr::UserAgent),
    ("properties.appDisplayName", Attr::ServiceName),
    ("resultDescription", Attr::StatusDetail),
];

/// Names of the same members in Log Analytics, which rules use.
const AZURE_ALIASES: &[(&str, &str)] = &[
    ("category", "Category"),
    ("category", "CategoryValue"),
    ("operationName", "OperationName"),
    ("operationName", "OperationNameValue"),
    ("resultType", "ResultType"),
    ("resultDescription", "ResultDescription"),
    ("resourceId", "ResourceId"),
    ("properties.activityDisplayName", "ActivityDisplayName"),
    ("properties.loggedByService", "LoggedByService"),
    ("properties.authenticationRequirement", "AuthenticationRequirement"),
    ("properties.resourceDisplayName", "ResourceDisplayName"),
    ("properties.clientAppUsed", "ClientApp"),
    ("properties.userPrincipalName", "Username"),
    ("properties.riskState", "RiskState"),
    ("properties.deviceDetail.trustType", "DeviceDetail.trusttype"),
    ("properties.deviceDetail.deviceId", "DeviceDetail.deviceId"),
    ("properties.deviceDetail.isCompliant", "DeviceDetail.isCompliant"),
    ("properties.networkLocationDetails.networkType", "NetworkLocationDetails"),
    (
        "properties.targetResources.modifiedProperties.displayName",
        "TargetResources.ModifiedProperties.DisplayName",
    ),
    ("properties.targetResources.modifiedProperties.newValue", "TargetResources.ModifiedProperties.NewValue"),
    ("properties.targetResources.modifiedProperties.newValue", "TargetResources.modifiedProperties.newValue"),
];

fn cloudtrail(event: &mut Event) -> bool {
    const KNOWN: [&str; 4] = ["awsRegion", "eventVersion", "requestParameters", "recipientAccountId"];
    if KNOWN.iter().all(|name| event.find(name).is_none()) {
        return false;
    }
    status_by_error(event, "errorCode");
    event.activity = verb(text(event, "eventName"));
    if text(event, "eventName") == "ConsoleLogin" {
        (event.class, event.activity) = (Class::AUTHENTICATION, 1);
        if text(event, "responseElements.ConsoleLogin") == "Failure" {
            event.status = Status::Failure;
        }
    }
    container_text(event, "requestParameters");
    container_text(event, "responseElements");
    true
}

/// Rules look into some containers as into one text: the JSON of the container, as it stands in
/// the original, under the container's name.
fn container_text(event: &mut Event, name: &str) {
    if event.find(name).is_some() {
        return;
    }
    let original = event.original();
    let Some(at) = original.find(&format!("\"{name}\":")) else { return };
    let start = at + name.len() + 3;
    let rest = &original.as_bytes()[start..];
    let (mut depth, mut quoted, mut index) = (0u32, false, 0);
    while let Some(&byte) = rest.get(index) {
        match byte {
            b'\\' if quoted => index += 1,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    let span = event.span(start, start + index + 1);
                    event.add_span_field(name, span);
                    return;
                }
            }
            b',' if !quoted && depth == 0 => return,
            _ => {}
        }
        index += 1;
    }
}

/// OCSF's activity of an API operation, by how its last word begins.
fn verb(operation: &str) -> u8 {
    const WORDS: [(&[&str], u8); 4] = [
        (&["create", "put", "add", "run", "insert", "register", "new"], 1),
        (&["get", "list", "describe", "lookup", "head", "watch", "read"], 2),
        (&["update", "modify", "set", "attach", "enable", "change", "patch", "edit"], 3),
        (&["delete", "remove", "terminate", "detach", "disable", "destroy"], 4),
    ];
    let last = operation.rsplit(['.', '/', ':']).next().unwrap_or(operation);
    let begins = |word: &&str| last.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    WORDS.iter().find(|(words, _)| words.iter().any(begins)).map_or(99, |(_, activity)| *activity)
}

fn guardduty(event: &mut Event) -> bool {
    let score: f64 = text(event, "severity").parse().unwrap_or(0.0);
    event.severity = match score {
        s if s >= 9.0 => Severity::Critical,
        s if s >= 7.0 => Severity::High,
        s if s >= 4.0 => Severity::Medium,
        _ => Severity::Low,
    };
    true
}

fn gcp(event: &mut Event) -> bool {
    status_by_error(event, "protoPayload.status.message");
    event.activity = verb(text(event, "protoPayload.methodName"));
    let service = match text(event, "protoPayload.serviceName") {
        "login.googleapis.com" => Some("google_workspace.login"),
        "admin.googleapis.com" => Some("google_workspace.admin"),
        _ => None,
    };
    event.log_source.services.extend(service.map(Into::into));
    alias_below(event, "protoPayload.", "data.protoPayload.");
    alias(event, "logName", "data.protoPayload.logName");
    alias(event, "resource.type", "data.protoPayload.resource.type");
    alias(event, "protoPayload.metadata.event.eventName", "eventName");
    alias(event, "protoPayload.serviceName", "eventService");
    true
}

/// The Reports API's own form of Google Workspace activities.
fn workspace(event: &mut Event) -> bool {
    let application = text(event, "id.applicationName").to_owned();
    let service = match application.as_str() {
        "admin" => "google_workspace.admin",
        "login" => {
            (event.class, event.activity) = (Class::AUTHENTICATION, 1);
            "google_workspace.login"
        }
        _ => "google_workspace",
    };
    event.log_source.services.push(service.into());
    event.add_field("eventService", &format!("{application}.googleapis.com"), Kind::Text);
    // Parameters come as lists of names and values, side by side.
    let all = |event: &Event, name: &str| -> Vec<Span> {
        event.fields().iter().filter(|f| event.slice(f.name) == name).map(|f| f.value).collect()
    };
    let (names, values) = (all(event, "events.parameters.name"), all(event, "events.parameters.value"));
    if names.len() == values.len() {
        for (name, value) in names.into_iter().zip(values) {
            let name = event.slice(name).to_lowercase();
            event.add_span_field(&name, value);
        }
    }
    alias(event, "parameters.SETTING_NAME", "setting_name");
    alias(event, "parameters.NEW_VALUE", "new_value");
    true
}

fn okta(event: &mut Event) -> bool {
    let kind = text(event, "eventType");
    (event.class, event.activity) = match kind {
        k if k.starts_with("user.session.") || k.starts_with("user.authentication.") => {
            (Class::AUTHENTICATION, 1)
        }
        k if k.starts_with("user.lifecycle.create") => (Class::ACCOUNT_CHANGE, 1),
        k if k.starts_with("user.lifecycle.") || k.starts_with("user.account.") => {
            (Class::ACCOUNT_CHANGE, 99)
        }
        k if k.starts_with("group.") => (Class::GROUP, 9),
        _ => (Class::API, 99),
    };
    event.status = match text(event, "outcome.result") {
        "SUCCESS" | "ALLOW" => Status::Success,
        "FAILURE" | "DENY" => Status::Failure,
        _ => Status::Unknown,
    };
    event.severity = match text(event, "severity") {
        "ERROR" => Severity::Medium,
        "WARN" => Severity::Low,
        _ => Severity::Informational,
    };
    true
}

fn microsoft365(event: &mut Event) -> bool {
    let services: &[&'static str] = match text(event, "Workload") {
        "Exchange" => &["exchange"],
        "SecurityComplianceCenter" => &["threat_management", "threat_detection"],
        "AzureActiveDirectory" => &["azure_ad"],
        "SharePoint" | "OneDrive" => &["sharepoint"],
        "MicrosoftTeams" => &["teams"],
        _ => &[],
    };
    event.log_source.services.extend(services.iter().map(|s| (*s).into()));
    event.activity = verb(text(event, "Operation"));
    event.status = match text(event, "ResultStatus") {
        "Succeeded" | "Success" | "True" | "PartiallySucceeded" => Status::Success,
        "Failed" | "False" | "Failure" => Status::Failure,
        _ => Status::Unknown,
    };
    if event.status == Status::Success {
        event.add_field("status", "success", Kind::Text);
    }
    // Alerts carry their rule's name, by which rules know them.
    alias(event, "Name", "eventName");
    if text(event, "Operation").starts_with("UserLog") {
        (event.class, event.activity) = (Class::AUTHENTICATION, 1);
    }
    true
}

fn azure(event: &mut Event) -> bool {
    if ["resourceId", "tenantId", "correlationId"].iter().all(|name| value(event, name).is_none()) {
        return false;
    }
    let service = match text(event, "category") {
        "SignInLogs"
        | "NonInteractiveUserSignInLogs"
        | "ServicePrincipalSignInLogs"
        | "ManagedIdentitySignInLogs"
        | "SignIn" => "signinlogs",
        "UserRiskEvents" | "RiskyUsers" | "ServicePrincipalRiskEvents" => "riskdetection",
        "AuditLogs" => "auditlogs",
        _ if value(event, "properties.activityDisplayName").is_some()
            || value(event, "properties.loggedByService").is_some() =>
        {
            "auditlogs"
        }
        _ => "activitylogs",
    };
    event.log_source.services.push(service.into());
    event.activity = verb(text(event, "operationName"));
    if service == "signinlogs" {
        (event.class, event.activity) = (Class::AUTHENTICATION, 1);
    }
    let result = match text(event, "resultType") {
        "" => text(event, "properties.result"),
        kind => kind,
    };
    event.status = match result {
        "0" | "Success" | "success" | "Succeeded" | "Accept" | "Start" => Status::Success,
        "" | "None" => Status::Unknown,
        _ => Status::Failure,
    };
    // Rules written for exported logs know the operation as a message.
    alias(event, "properties.activityDisplayName", "properties.message");
    alias(event, "operationName", "properties.message");
    alias_below(event, "properties.", "");
    true
}

fn github(event: &mut Event) -> bool {
    let known = ["org", "business", "_document_id", "repo", "org_id", "actor_id"];
    if known.iter().all(|name| event.find(name).is_none()) {
        return false;
    }
    event.activity = verb(text(event, "action"));
    event.status = Status::Success;
    true
}

fn kubernetes(event: &mut Event) -> bool {
    event.activity = verb(text(event, "verb"));
    event.status = match text(event, "responseStatus.code").bytes().next() {
        Some(b'2') => Status::Success,
        Some(b'4' | b'5') => Status::Failure,
        _ => Status::Unknown,
    };
    // Rules name these two wherever in the object they stand.
    for name in ["hostPath", "capabilities"] {
        for index in 0..event.fields().len() {
            let field = event.fields()[index];
            if event.slice(field.name).split('.').any(|part| part == name) {
                let name = event.append(name);
                event.push_field(name, field.value, field.kind);
            }
        }
    }
    true
}

fn duo(event: &mut Event) -> bool {
    event.status = match text(event, "result") {
        "success" | "SUCCESS" => Status::Success,
        "" => Status::Unknown,
        _ => Status::Failure,
    };
    true
}
