//! Stores, connections and webhooks.

use guiche_outbound::fake::{Asked, Reply};
use serde::Deserialize;
use serde_json::{Value, json};

use super::BtcPayPlay;
use super::state::{Connection, Store, Webhook, World};

/// An error with its code.
pub(super) fn no(status: u16, code: &str, message: &str) -> Reply {
    Reply::document(status, &json!({ "code": code, "message": message }))
}

/// The key may not, or there is no such store: the server does not tell.
pub(super) fn missing_permission() -> Reply {
    let (code, message) = ("missing-permission", "Insufficient API Permissions.");
    let document = json!({ "missingPermission": super::MODIFY_STORES, "code": code, "message": message });
    Reply::document(403, &document)
}

/// Something in the request is wrong; the path is the name in the server's code.
pub(super) fn invalid(path: &str, message: &str) -> Reply {
    Reply::document(422, &json!([{ "path": path, "message": message }]))
}

#[derive(Deserialize)]
struct NewStore {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct PaymentMethod {
    enabled: bool,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    connection_string: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewWebhook {
    url: String,
    #[serde(default)]
    secret: String,
    authorized_events: Events,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Events {
    everything: bool,
    #[serde(default)]
    specific_events: Vec<String>,
}

impl BtcPayPlay {
    pub(super) fn play_stores(&self, operation: &'static str, asked: &Asked) -> Reply {
        if operation == "current_key" {
            return Reply::ok(
                &json!({ "apiKey": "not told", "label": "fake", "permissions": self.gate().permissions }),
            );
        }
        let segments = asked.segments();
        let (store, webhook) = (segments.get(3).copied(), segments.get(5).copied().unwrap_or_default());
        // What was deleted an administrator still sees.
        let sees_all = self.gate().permissions.iter().any(|may| may == "unrestricted");
        let play = |world: &mut World| match (operation, store) {
            ("store", Some(id)) if sees_all => {
                let mut all = world.stores.iter().chain(&world.deleted);
                all.find(|store| store.id == id)
                    .map_or_else(missing_permission, |store| Reply::ok(&told(store)))
            }
            ("list_stores", _) => Reply::ok(&world.stores.iter().map(told).collect()),
            (_, None) => create(world, asked),
            (_, Some(id)) => of_store(world, operation, id, webhook, asked),
        };
        if matches!(operation, "list_stores" | "store" | "list_webhooks") {
            return play(&mut self.world.read(World::clone));
        }
        self.world.change(play).unwrap_or_else(|_| Reply::text(500, "the ledger cannot be written"))
    }
}

fn create(world: &mut World, asked: &Asked) -> Reply {
    let name = asked.json().map_or_else(String::new, |NewStore { name }| name);
    if !(1..=50).contains(&name.chars().count()) {
        return invalid("Name", "Name can only be between 1 and 50 characters");
    }
    let id = world.create(&name);
    world.find(&id).map_or_else(missing_permission, |store| Reply::ok(&told(store)))
}

fn of_store(world: &mut World, operation: &str, id: &str, webhook: &str, asked: &Asked) -> Reply {
    let new_id = world.next_id("webhook");
    let Some(place) = world.stores.iter().position(|store| store.id == id) else {
        return missing_permission();
    };
    if operation == "delete_store" {
        let store = world.stores.remove(place);
        world.deleted.push(store);
        return Reply::empty(200);
    }
    let Some(store) = world.stores.get_mut(place) else { return missing_permission() };
    match operation {
        "store" => Reply::ok(&told(store)),
        "connect_node" => connect(store, asked),
        "disconnect_node" => {
            store.connection = None;
            Reply::empty(200)
        }
        "register_webhook" => register(store, new_id, asked),
        "list_webhooks" => Reply::ok(&store.webhooks.iter().map(webhook_told).collect()),
        _ => {
            let before = store.webhooks.len();
            store.webhooks.retain(|known| known.id != webhook);
            if store.webhooks.len() < before {
                Reply::empty(200)
            } else {
                no(404, "webhook-not-found", "The webhook was not found")
            }
        }
    }
}

fn connect(store: &mut Store, asked: &Asked) -> Reply {
    let Some(PaymentMethod { enabled: true, config: Config { connection_string } }) = asked.json() else {
        return invalid("Config", "Invalid payment method config");
    };
    match Connection::parse(&connection_string) {
        Ok(connection) => {
            // Parsed only: whether the node is there is not asked here.
            store.connection = Some(connection);
            let config = json!({ "connectionString": connection_string });
            Reply::ok(&json!({ "enabled": true, "paymentMethodId": "BTC-LN", "config": config }))
        }
        Err(reason) => invalid("ConnectionString", &format!("{reason}: {connection_string}")),
    }
}

fn register(store: &mut Store, id: String, asked: &Asked) -> Reply {
    let Some(NewWebhook { url, secret, authorized_events }) = asked.json() else {
        return invalid("Url", "Url is missing");
    };
    if url.parse::<url::Url>().is_err() {
        return invalid("Url", "Url is not an absolute URI");
    }
    let Events { everything, specific_events } = authorized_events;
    if !everything && specific_events.is_empty() {
        return invalid("AuthorizedEvents", "No event is selected");
    }
    let secret = if secret.is_empty() { format!("{id}-secret") } else { secret };
    let events = if everything { Vec::new() } else { specific_events };
    let webhook = Webhook { id, url, secret, events };
    let mut document = webhook_told(&webhook);
    if let Some(fields) = document.as_object_mut() {
        // Here, and never again.
        fields.insert("secret".to_owned(), json!(webhook.secret));
    }
    store.webhooks.push(webhook);
    Reply::ok(&document)
}

fn told(store: &Store) -> Value {
    json!({
        "id": store.id,
        "name": store.name,
        "website": null,
        "defaultCurrency": "USD",
        "invoiceExpiration": 900,
        "monitoringExpiration": 86400,
        "speedPolicy": "MediumSpeed",
        "lightningDescriptionTemplate": "Paid to {StoreName} (Order ID: {OrderId})",
        "archived": false,
    })
}

fn webhook_told(webhook: &Webhook) -> Value {
    json!({
        "id": webhook.id,
        "enabled": true,
        "automaticRedelivery": true,
        "url": webhook.url,
        "authorizedEvents": { "everything": webhook.events.is_empty(), "specificEvents": webhook.events },
    })
}
