//! Which machine a record is from, where the record does not say.

use std::net::IpAddr;

use covigil_model::{Attr, Event, Kind};
use covigil_solution::ParseContext;

/// Names the machine in the column and in field `host`, unless the record did: the sender's address
/// where it came over the network, else this machine.
pub(crate) fn name(context: &ParseContext, event: &mut Event) {
    if event.attr(Attr::DeviceHostname).is_some() {
        return;
    }
    let sender = context.peer.as_deref().filter(|peer| {
        peer.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback() && !address.is_unspecified())
    });
    let name = event.append(sender.unwrap_or(&context.hostname));
    event.set_attr(Attr::DeviceHostname, name);
    if sender.is_some() {
        event.set_attr(Attr::DeviceIp, name);
    }
    let host = event.append("host");
    event.push_field(host, name, Kind::Text);
}

#[cfg(test)]
mod tests {
    use covigil_model::Time;

    use super::*;

    fn named(peer: Option<&str>) -> Event {
        let context = ParseContext {
            received: Time::default(),
            utc_offset: 0,
            peer: peer.map(Into::into),
            hostname: "here".into(),
        };
        let mut event = Event::from_original("x");
        name(&context, &mut event);
        event
    }

    #[test]
    fn a_remote_sender_is_not_this_machine() {
        assert_eq!(named(Some("192.0.2.7")).attr(Attr::DeviceHostname), Some("192.0.2.7"));
        assert_eq!(named(Some("192.0.2.7")).attr(Attr::DeviceIp), Some("192.0.2.7"));
        for peer in [None, Some("/var/log/syslog"), Some("127.0.0.1")] {
            assert_eq!(named(peer).attr(Attr::DeviceHostname), Some("here"));
            assert_eq!(named(peer).attr(Attr::DeviceIp), None);
        }
    }
}
