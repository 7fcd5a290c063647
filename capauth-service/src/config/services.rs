//! The other services that challenges are made for.

use std::collections::{BTreeMap, BTreeSet};

use capauth_tower::ServiceEntry;
use figment::value::Value;

use super::layers::Layers;
use super::{ConfigError, several, values};

/// Other services: `name` or `name=origin|origin` in a list, or tables in the file.
pub(super) fn read(layers: &Layers) -> Result<Vec<ServiceEntry>, ConfigError> {
    let Some((value, place)) = layers.get("services") else { return Ok(Vec::new()) };
    if let Value::Array(_, items) = &value
        && items.iter().any(|item| matches!(item, Value::Dict(..)))
    {
        let tables = items.iter().map(|item| service_table(item, &place)).collect::<Result<_, _>>()?;
        return distinct(tables, &place);
    }
    let entries = several(layers, "services", |item| {
        let (name, origins) = item.split_once('=').unwrap_or((item, ""));
        let entry = ServiceEntry::new(values::service_name(name.trim())?);
        let origins = origins.split('|').map(str::trim).filter(|origin| !origin.is_empty());
        origins.map(values::login_origin).try_fold(entry, |entry, origin| Ok(entry.origin(origin?)))
    })?;
    distinct(entries, &place)
}

fn distinct(entries: Vec<ServiceEntry>, place: &str) -> Result<Vec<ServiceEntry>, ConfigError> {
    let names: BTreeSet<_> = entries.iter().map(ServiceEntry::name).collect();
    if names.len() < entries.len() {
        return Err(ConfigError::at(place, "lists a service twice; write its origins as name=origin|origin"));
    }
    Ok(entries)
}

fn service_table(item: &Value, place: &str) -> Result<ServiceEntry, ConfigError> {
    let wrong = |wrong: &'static str| ConfigError::at(place, wrong);
    let Value::Dict(_, table) = item else { return Err(wrong("mixes tables and texts")) };
    if table.keys().any(|key| !matches!(key.as_str(), "name" | "origins" | "credential" | "credential_file"))
    {
        return Err(wrong("holds an unknown key; a service has name, origins, credential, credential_file"));
    }
    let name =
        table.get("name").ok_or("has a service without a name").and_then(values::text).map_err(wrong)?;
    let mut entry = ServiceEntry::new(values::service_name(&name).map_err(wrong)?);
    if let Some(origins) = table.get("origins") {
        for origin in values::list(origins).map_err(wrong)? {
            entry = entry.origin(values::login_origin(&origin).map_err(wrong)?);
        }
    }
    let credential = match (table.get("credential"), table.get("credential_file")) {
        (Some(_), Some(_)) => {
            return Err(wrong("has a service with both credential and credential_file; keep one"));
        }
        (Some(credential), None) => Some(credential.clone()),
        (None, Some(file)) => Some(Value::from(BTreeMap::from([("file".to_owned(), file.clone())]))),
        (None, None) => None,
    };
    Ok(match credential {
        Some(credential) => entry.credential(values::secret(&credential, place)?),
        None => entry,
    })
}
