//! Targets in the body of a call: `targets`, each an address or an object with one, or one target at the top.

use std::net::SocketAddr;

use config::live::{Registration, target_address};
use config::model::indexed;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Fields, shown};

impl Fields {
    /// Targets to register.
    pub(in super::super) fn registrations(&mut self) -> Vec<Registration> {
        let one = (self.take("address"), self.take("weight"));
        let list = self.take_raw("targets");
        match (list, one) {
            (Some(list), (None, None)) => self.list(&list, Self::registration),
            (Some(_), _) => {
                let message =
                    "must not stand beside address or weight: give the list, or one target";
                self.wrong("targets", message.into());
                Vec::new()
            }
            (None, (None, None)) => {
                let message =
                    "is missing; it must list the targets, as [{\"address\": \"10.0.0.1:8080\"}]";
                self.wrong("targets", message.into());
                Vec::new()
            }
            (None, (address, weight)) => {
                let address = self.address("address", address);
                let registration = self.weighed("weight", address, weight);
                registration.into_iter().collect()
            }
        }
    }

    /// Targets to deregister.
    pub(in super::super) fn addresses(&mut self) -> Vec<SocketAddr> {
        let Some(list) = self.take_raw("targets") else {
            let message = "is missing; it must list the targets, as [\"10.0.0.1:8080\"]";
            self.wrong("targets", message.into());
            return Vec::new();
        };
        self.list(&list, |fields, place, target| {
            fields
                .target(place, target, &["address"])
                .map(|(address, _)| address)
        })
    }

    fn list<T>(
        &mut self,
        raw: &RawValue,
        read: impl Fn(&mut Self, &str, &RawValue) -> Option<T>,
    ) -> Vec<T> {
        let Ok(list) = serde_json::from_str::<Vec<Box<RawValue>>>(raw.get()) else {
            self.wrong("targets", "must be a list of targets".into());
            return Vec::new();
        };
        if list.is_empty() {
            self.wrong("targets", "must name at least one target".into());
        }
        let targets = list.iter().enumerate();
        let targets =
            targets.filter_map(|(n, target)| read(self, &format!("targets[{n}]"), target));
        targets.collect()
    }

    fn registration(&mut self, place: &str, target: &RawValue) -> Option<Registration> {
        let (address, weight) = self.target(place, target, &["address", "weight"])?;
        self.weighed(&format!("{place}.weight"), Some(address), weight)
    }

    /// A text that is an address, or an object with an address and perhaps others of `keys`; the value of the last one.
    fn target(
        &mut self,
        place: &str,
        raw: &RawValue,
        keys: &[&str],
    ) -> Option<(SocketAddr, Option<Value>)> {
        if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
            let address = self.address(place, Some(text.into()));
            return address.map(|address| (address, None));
        }
        let Ok(object) = serde_json::from_str::<indexed::Map<Value>>(raw.get()) else {
            let message = format!("must be an address or an object, not {}", raw.get());
            self.wrong(place, message);
            return None;
        };
        let (mut address, mut weight) = (None, None);
        for (key, value) in object.0 {
            let known = keys.contains(&key.as_str());
            let slot = match key.as_str() {
                "address" => &mut address,
                _ => &mut weight,
            };
            let path = format!("{place}.{key}");
            if !known {
                let keys = keys.join(", ");
                self.wrong(&path, format!("unknown key; keys of a target are {keys}"));
            } else if slot.replace(value).is_some() {
                self.wrong(&path, "is given twice".into());
            }
        }
        let address = self.address(&format!("{place}.address"), address)?;
        Some((address, weight))
    }

    fn address(&mut self, key: &str, value: Option<Value>) -> Option<SocketAddr> {
        let problem = match value {
            Some(Value::String(text)) => match target_address(&text) {
                Ok(address) => return Some(address),
                Err(message) => message,
            },
            Some(other) => format!("must be a text, not {}", shown(&other)),
            None => "is missing".into(),
        };
        self.wrong(key, problem);
        None
    }

    fn weighed(
        &mut self,
        key: &str,
        address: Option<SocketAddr>,
        weight: Option<Value>,
    ) -> Option<Registration> {
        let weight = match weight.filter(|weight| !weight.is_null()) {
            None => None,
            Some(weight) => match weight.as_u64() {
                Some(weight) => Some(weight),
                None => {
                    let message = format!(
                        "must be a whole number from 1 to 1000, not {}",
                        shown(&weight)
                    );
                    self.wrong(key, message);
                    return None;
                }
            },
        };
        match Registration::new(address?, weight) {
            Ok(registration) => Some(registration),
            Err(message) => {
                self.wrong(key, message);
                None
            }
        }
    }
}
