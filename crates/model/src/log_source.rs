//! What kind of log an event came from, in Sigma's terms.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The `product`, `service` and `category` labels of an event, as Sigma rules name them in their
/// `logsource`.
///
/// One event may belong to several categories (a Sysmon value-set is both `registry_set` and
/// `registry_event`) and to several services.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct LogSource {
    /// For example `windows`, `linux`, `aws`; empty where unknown.
    pub product: Cow<'static, str>,
    /// For example `sysmon`, `security`, `sshd`, `auth`.
    pub services: Vec<Cow<'static, str>>,
    /// For example `process_creation`, `webserver`.
    pub categories: Vec<Cow<'static, str>>,
}

impl LogSource {
    /// The log source of fixed labels.
    pub fn of(product: &'static str, services: &[&'static str], categories: &[&'static str]) -> Self {
        Self {
            product: Cow::Borrowed(product),
            services: services.iter().copied().map(Cow::Borrowed).collect(),
            categories: categories.iter().copied().map(Cow::Borrowed).collect(),
        }
    }

    /// Forgets all labels, keeping the allocations.
    pub fn clear(&mut self) {
        self.product = Cow::Borrowed("");
        self.services.clear();
        self.categories.clear();
    }

    /// Sets the labels, keeping the allocations.
    pub fn set(&mut self, product: &'static str, services: &[&'static str], categories: &[&'static str]) {
        self.product = Cow::Borrowed(product);
        self.services.clear();
        self.services.extend(services.iter().copied().map(Cow::Borrowed));
        self.categories.clear();
        self.categories.extend(categories.iter().copied().map(Cow::Borrowed));
    }

    /// Whether a rule whose `logsource` has these labels applies to the event. A label that the
    /// rule does not name applies to every event.
    pub fn covers(&self, product: Option<&str>, service: Option<&str>, category: Option<&str>) -> bool {
        product.is_none_or(|p| self.product == p)
            && service.is_none_or(|s| self.services.iter().any(|have| have == s))
            && category.is_none_or(|c| self.categories.iter().any(|have| have == c))
    }
}
