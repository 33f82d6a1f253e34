//! The stores keep the promises of their ports, like every other implementation.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use guiche_adapter_postgres::testing::TestDatabase;

mod users {
    use guiche_users::UserStore;

    use super::*;

    async fn postgres() -> (Arc<dyn UserStore>, TestDatabase) {
        let database = TestDatabase::new().await;
        (database.stores().await.users(), database)
    }

    guiche_users::user_store_contract!(postgres);
}

mod tickets {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use guiche_adapter_postgres::PgStores;
    use guiche_kernel::{Caller, Epoch, UserId};
    use guiche_tickets::testing::contract::StoreFixture;
    use guiche_tickets::{TicketId, TicketStore};
    use guiche_users::{Email, NewAccount, PasswordHash};
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    struct Postgres {
        stores: PgStores,
        people: AtomicU32,
        database: TestDatabase,
    }

    async fn postgres() -> Postgres {
        let database = TestDatabase::new().await;
        Postgres { stores: database.stores().await, people: AtomicU32::new(0), database }
    }

    #[async_trait]
    impl StoreFixture for Postgres {
        fn store(&self) -> Arc<dyn TicketStore> {
            self.stores.tickets()
        }

        async fn caller(&self) -> Caller {
            let number = self.people.fetch_add(1, Ordering::Relaxed);
            let account = NewAccount {
                id: UserId::new(Uuid::from_u128(
                    0x0195_f3a4_7c1e_7c3a_8d5e_0000_0000_0000 + u128::from(number),
                )),
                email: Email::parse(&format!("p{number}@example.org")).unwrap(),
                password_hash: PasswordHash::new("$2b$04$".to_owned()),
                created_at: datetime!(2026-01-01 12:00 UTC),
            };
            self.stores.users().register(&account).await.unwrap();
            Caller { user_id: account.id, epoch: Epoch::FIRST }
        }

        async fn revoke(&self, caller: Caller) {
            let hash = PasswordHash::new("$2b$04$other".to_owned());
            self.stores
                .users()
                .change_password(&caller, &hash, datetime!(2026-01-02 12:00 UTC))
                .await
                .unwrap();
        }

        async fn events(&self, ticket: TicketId) -> Vec<Uuid> {
            let worker = self.database.raw(&self.database.worker_url()).await;
            let query = "SELECT id FROM outbox WHERE ticket_id = $1::text::uuid ORDER BY position";
            let rows = worker.query(query, &[&ticket.to_string()]).await.unwrap();
            rows.iter().map(|row| row.get::<_, UuidBytes>(0).0).collect()
        }
    }

    /// tokio-postgres has a feature for this, and only this file would need it.
    struct UuidBytes(Uuid);

    impl<'a> tokio_postgres::types::FromSql<'a> for UuidBytes {
        fn from_sql(
            _: &tokio_postgres::types::Type,
            raw: &'a [u8],
        ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
            Ok(Self(Uuid::from_slice(raw)?))
        }

        fn accepts(of_type: &tokio_postgres::types::Type) -> bool {
            *of_type == tokio_postgres::types::Type::UUID
        }
    }

    guiche_tickets::ticket_store_contract!(postgres);
}

mod webhooks {
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use guiche_adapter_postgres::PgStores;
    use guiche_kernel::Timestamp;
    use guiche_webhooks::testing::contract::WebhookFixture;
    use guiche_webhooks::{DeliveryStore, EndpointStore, EventId, EventType};
    use tokio_postgres::Client;
    use uuid::Uuid;

    use super::*;

    struct Postgres {
        stores: PgStores,
        superuser: Client,
        events: AtomicU64,
        _database: TestDatabase,
    }

    /// One citizen with one ticket, of which every event tells; past the foreign keys that say that it has invoices.
    const TICKET: &str = "
        BEGIN;
        SET LOCAL session_replication_role = replica;
        INSERT INTO users VALUES ('00000000-0000-7000-8000-000000000001', 'a@b.org', 'a@b.org', 'h', 0, now(), now());
        INSERT INTO tickets VALUES (
            '00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000001', 1, 'driver_license_renewal', 50000,
            '{}', 'pending', 1, now(), now(), NULL, NULL, NULL, now()
        );
        COMMIT";

    async fn postgres() -> Postgres {
        let database = TestDatabase::new().await;
        let superuser = database.raw(&database.superuser_url()).await;
        superuser.batch_execute(TICKET).await.unwrap();
        let stores = database.stores().await;
        Postgres { stores, superuser, events: AtomicU64::new(1), _database: database }
    }

    #[async_trait]
    impl WebhookFixture for Postgres {
        fn endpoints(&self) -> Arc<dyn EndpointStore> {
            self.stores.endpoints()
        }

        fn deliveries(&self) -> Arc<dyn DeliveryStore> {
            self.stores.deliveries()
        }

        async fn event(&self, of_type: EventType, happened_at: Timestamp) -> EventId {
            let id = Uuid::from_u128(self.events.fetch_add(1, Ordering::Relaxed).into());
            let moment = happened_at.unix_timestamp_nanos() / 1000;
            let push = format!(
                "BEGIN;
                SET LOCAL session_replication_role = replica;
                INSERT INTO outbox
                    (id, kind, happened_at, ticket_id, user_id, amount_sats, operation_id, status, version, payment_hash)
                SELECT '{id}', '{of_type}', to_timestamp({seconds}) + {micros} * interval '1 microsecond', id, user_id,
                    amount_sats, operation_id, 'pending', 1, sha256('x')
                FROM tickets;
                COMMIT",
                seconds = moment / 1_000_000,
                micros = moment % 1_000_000,
            );
            // Of a ticket these two happen once; the suite has no more than one ticket.
            let many = "DROP INDEX IF EXISTS outbox_paid_once, outbox_opened_once";
            self.superuser.batch_execute(many).await.unwrap();
            self.superuser.batch_execute(&push).await.unwrap();
            EventId::new(id)
        }
    }

    guiche_webhooks::webhook_store_contract!(postgres);
}

mod catalogue {
    use guiche_adapter_postgres::{PgAdministration, PgStores};
    use guiche_tickets::testing::contract::CatalogueFixture;
    use guiche_tickets::{CatalogueEditor, OperationCatalogue};

    use super::*;

    struct Postgres {
        stores: PgStores,
        administration: PgAdministration,
        _database: TestDatabase,
    }

    async fn postgres() -> Postgres {
        let database = TestDatabase::new().await;
        let administration = PgAdministration::connect(database.owner_url().into()).await.unwrap();
        Postgres { stores: database.stores().await, administration, _database: database }
    }

    impl CatalogueFixture for Postgres {
        fn editor(&self) -> Arc<dyn CatalogueEditor> {
            self.administration.catalogue()
        }
        fn catalogue(&self) -> Arc<dyn OperationCatalogue> {
            self.stores.operations()
        }
    }

    guiche_tickets::catalogue_editor_contract!(postgres);
}

mod lightning {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use guiche_adapter_postgres::PgStores;
    use guiche_kernel::{Caller, Epoch, UserId};
    use guiche_lightning_setup::testing::contract::SetupFixture;
    use guiche_lightning_setup::{AddressBook, AuditTrail, SetupStore};
    use guiche_users::{Email, NewAccount, PasswordHash};
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    struct Postgres {
        stores: PgStores,
        people: AtomicU32,
        _database: TestDatabase,
    }

    async fn postgres() -> Postgres {
        let database = TestDatabase::new().await;
        Postgres { stores: database.stores().await, people: AtomicU32::new(1), _database: database }
    }

    #[async_trait]
    impl SetupFixture for Postgres {
        fn store(&self) -> Arc<dyn SetupStore> {
            self.stores.setups()
        }

        fn book(&self) -> Arc<dyn AddressBook> {
            self.stores.address_book()
        }

        fn trail(&self) -> Arc<dyn AuditTrail> {
            self.stores.audit_trail()
        }

        async fn caller(&self) -> Caller {
            let number = self.people.fetch_add(1, Ordering::Relaxed);
            let account = NewAccount {
                id: UserId::new(Uuid::from_u128(number.into())),
                email: Email::parse(&format!("p{number}@example.org")).unwrap(),
                password_hash: PasswordHash::new("$2b$04$".to_owned()),
                created_at: datetime!(2026-01-01 12:00 UTC),
            };
            self.stores.users().register(&account).await.unwrap();
            Caller { user_id: account.id, epoch: Epoch::FIRST }
        }

        async fn revoke(&self, caller: Caller) {
            let hash = PasswordHash::new("$2b$04$other".to_owned());
            let now = datetime!(2026-01-02 12:00 UTC);
            self.stores.users().change_password(&caller, &hash, now).await.unwrap();
        }
    }

    guiche_lightning_setup::setup_store_contract!(postgres);
    guiche_lightning_setup::address_book_contract!(postgres);
    guiche_lightning_setup::audit_trail_contract!(postgres);
}
