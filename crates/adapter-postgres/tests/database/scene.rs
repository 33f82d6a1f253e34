//! People with tickets, sessions and claims, and raw SQL.

use std::slice::from_ref;
use std::sync::Arc;
use std::time::Duration;

use guiche_adapter_postgres::PgStores;
use guiche_adapter_postgres::testing::TestDatabase;
use guiche_kernel::testing::{ManualClock, SeededRandomness};
use guiche_kernel::{Caller, Clock, Epoch, Ids, Sealed, UserId};
use guiche_lightning_setup::{
    AddressDomain, AddressInvoice, AddressName, Begin, Begun, Lease, LightningAddress, Setup, SetupFault,
    SetupId, SetupStatus, Step, StepRecord, StepState,
};
use guiche_tickets::testing::{license_form, license_operation};
use guiche_tickets::{
    ClaimOutcome, ClaimRequest, Fingerprint, IdempotencyKey, Invoice, InvoiceId, InvoiceStatus, Preimage,
    Route, Ticket, TicketId,
};
use guiche_users::{Email, FamilyId, NewAccount, NewSession, PasswordHash, TokenHash};
use tokio_postgres::Client;
use uuid::Uuid;

pub(crate) struct Scene {
    pub(crate) stores: PgStores,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ids: Ids,
    pub(crate) database: TestDatabase,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::new().await;
        Self::on(database.stores().await, database)
    }

    pub(crate) fn on(stores: PgStores, database: TestDatabase) -> Self {
        let clock = Arc::new(ManualClock::default());
        let ids = Ids::new(Arc::<ManualClock>::clone(&clock), Arc::new(SeededRandomness::new(3)));
        Self { stores, clock, ids, database }
    }

    pub(crate) async fn person(&self, email: &str) -> Caller {
        let account = NewAccount {
            id: UserId::new(self.ids.uuid()),
            email: Email::parse(email).unwrap(),
            password_hash: PasswordHash::new("$2b$04$".to_owned()),
            created_at: self.clock.now(),
        };
        self.stores.users().register(&account).await.unwrap();
        Caller { user_id: account.id, epoch: Epoch::FIRST }
    }

    pub(crate) fn ticket(&self, caller: Caller) -> Ticket {
        let (id, now) = (self.ids.uuid(), self.clock.now());
        let operation = license_operation();
        let form = operation.form.check(license_form()).unwrap();
        let invoice = Invoice {
            id: InvoiceId::parse(format!("test:{id}")).unwrap(),
            payment_hash: preimage(id).payment_hash(),
            bolt11: format!("lnbcrt{}", id.simple()),
            amount: operation.price,
            issued_at: now,
            expires_at: now + Duration::from_mins(15),
            status: InvoiceStatus::Open,
            payment: None,
        };
        Ticket::open(TicketId::new(id), caller.user_id, &operation, form, invoice, now)
    }

    pub(crate) async fn opened(&self, caller: Caller) -> Ticket {
        let mut ticket = self.ticket(caller);
        let events = ticket.take_events(&self.ids);
        self.stores.tickets().open(caller, &ticket, &events, None).await.unwrap();
        ticket
    }

    /// To begin the setup of a Lightning address, now.
    pub(crate) fn wanted(&self, name: &str) -> Begin {
        let (id, now) = (SetupId::new(self.ids.uuid()), self.clock.now());
        let (name, domain) = (AddressName::parse(name), AddressDomain::parse("guiche.test"));
        let address = LightningAddress { name: name.unwrap(), domain: domain.unwrap() };
        Begin { id, address, now, reserved_since: now }
    }

    /// Begins the setup of a Lightning address, and takes it to work on.
    pub(crate) async fn begun(&self, caller: Caller, name: &str) -> (Lease, Setup) {
        let (setups, now, begin) = (self.stores.setups(), self.clock.now(), self.wanted(name));
        let Begun::Started(setup) = setups.begin(caller, &begin).await.unwrap() else {
            panic!("not started")
        };
        let (lease, _) =
            setups.claim_one(setup.id, now, now + Duration::from_mins(1)).await.unwrap().unwrap();
        (lease, *setup)
    }

    /// One that has a sealed record in its journal, and an invoice.
    pub(crate) async fn setting_up(&self, caller: Caller, name: &str) -> (Lease, Setup) {
        let (lease, setup) = self.begun(caller, name).await;
        let (now, until) = (self.clock.now(), self.clock.now() + Duration::from_mins(1));
        let record = StepRecord {
            attempt: 1,
            step: Step::SeedStored,
            state: StepState::Done,
            resource: Some("node-1".to_owned()),
            sealed: Some(Sealed::from_text("v1.key.nonce.sealed")),
            tries: 0,
            since: now,
        };
        self.stores.setups().record(&lease, from_ref(&record), until).await.unwrap();
        let invoice = AddressInvoice {
            payment_hash: *preimage(self.ids.uuid()).payment_hash().as_bytes(),
            setup: setup.id,
            store_id: "store-1".to_owned(),
            invoice_id: "invoice-1".to_owned(),
            bolt11: "lnbcrt1".to_owned(),
            amount_msat: 1_000,
            comment: None,
            issued_at: now,
            expires_at: until,
            paid_at: None,
        };
        self.stores.address_book().keep_invoice(&invoice).await.unwrap();
        (lease, setup)
    }

    /// Ends the setup of a citizen, which is being made, with nothing left outside.
    pub(crate) async fn fail_setup(&self, caller: Caller) {
        let (setups, now) = (self.stores.setups(), self.clock.now());
        let setup = setups.find(caller).await.unwrap().unwrap();
        let later = now + Duration::from_hours(1);
        let (lease, _) = setups.claim_one(setup.id, later, later).await.unwrap().unwrap();
        setups.roll_back(&lease, &SetupFault::internal("test"), now).await.unwrap();
        setups.close(&lease, SetupStatus::Failed, now).await.unwrap();
    }

    /// A person who has a row in every personal table.
    pub(crate) async fn citizen(&self, email: &str) -> Caller {
        let caller = self.person(email).await;
        self.opened(caller).await;
        let now = self.clock.now();
        let session = NewSession {
            family_id: FamilyId::new(self.ids.uuid()),
            token_hash: TokenHash::from_bytes(*preimage(self.ids.uuid()).payment_hash().as_bytes()),
            issued_at: now,
            expires_at: now + Duration::from_hours(24),
            ends_at: now + Duration::from_hours(48),
        };
        self.stores.users().open_session(&caller, session).await.unwrap();
        let claimed = self.stores.tickets().claim(caller, &self.request()).await.unwrap();
        assert!(matches!(claimed, ClaimOutcome::Mine(_)));
        self.setting_up(caller, email.split('@').next().unwrap()).await;
        caller
    }

    /// So many tickets more, and invoices of them, a minute apart and back from now. Past all triggers and foreign keys.
    pub(crate) async fn fill(&self, caller: Caller, status: &str, count: u32) {
        let fill = format!(
            "BEGIN; SET LOCAL session_replication_role = replica;
            INSERT INTO tickets SELECT gen_random_uuid(), '{0}', 1, 'x', 50000, '{{}}', '{status}', 1,
                now() - n * interval '1 minute', now(), CASE '{status}' WHEN 'cancelled' THEN now() END, NULL, NULL,
                now() + n * interval '1 minute'
            FROM generate_series(1, {count}) n;
            INSERT INTO invoices SELECT sha256(id::text::bytea), id, user_id, amount_sats, 1, id::text, 'b', created_at,
                expires_at, CASE '{status}' WHEN 'pending' THEN 'open' ELSE 'expired' END
            FROM tickets WHERE user_id = '{0}' AND status = '{status}'
            ON CONFLICT DO NOTHING;
            INSERT INTO invoice_looks SELECT payment_hash, ticket_id, user_id, provider_invoice_id, issued_at, expires_at,
                issued_at + interval '2 seconds', NULL, status = 'open'
            FROM invoices WHERE user_id = '{0}'
            ON CONFLICT DO NOTHING;
            COMMIT",
            caller.user_id
        );
        self.superuser().await.batch_execute(&fill).await.unwrap();
    }

    /// To open a ticket, now.
    pub(crate) fn request(&self) -> ClaimRequest {
        let now = self.clock.now();
        ClaimRequest {
            route: Route::OpenTicket,
            key: IdempotencyKey::parse("k").unwrap(),
            fingerprint: Fingerprint::of(&"body").unwrap(),
            subject: self.ids.uuid(),
            now,
            claimed_until: now + Duration::from_secs(30),
            renew_before: now,
        }
    }

    pub(crate) async fn app(&self) -> Client {
        self.database.raw(&self.database.app_url()).await
    }

    pub(crate) async fn superuser(&self) -> Client {
        self.database.raw(&self.database.superuser_url()).await
    }
}

pub(crate) fn preimage(id: Uuid) -> Preimage {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(id.as_bytes());
    Preimage::new(bytes)
}

/// Every table that holds something of a person, and the column that says of whom.
pub(crate) const PERSONAL: [(&str, &str); 12] = [
    ("users", "id"),
    ("sessions", "user_id"),
    ("refresh_tokens", "user_id"),
    ("tickets", "user_id"),
    ("invoices", "user_id"),
    ("invoice_looks", "user_id"),
    ("outbox", "user_id"),
    ("idempotency_claims", "user_id"),
    ("lightning_addresses", "user_id"),
    ("lightning_setup_steps", "user_id"),
    ("lightning_address_invoices", "user_id"),
    ("lightning_setup_log", "user_id"),
];

/// Those that the login that serves reads and never writes.
pub(crate) const READ_ONLY: [&str; 5] = [
    "invoice_looks",
    "lightning_addresses",
    "lightning_setup_steps",
    "lightning_address_invoices",
    "lightning_setup_log",
];

/// Pays every ticket by its invoice, in one transaction.
pub(crate) const PAY: &str = "
    UPDATE tickets t SET version = t.version + 1, status = 'paid', paid_at = i.expires_at
    FROM invoices i WHERE i.ticket_id = t.id;
    UPDATE invoices SET status = 'paid', paid_at = expires_at";

/// The first column of the first row.
pub(crate) async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}")).get(0)
}

/// The first column of every row.
pub(crate) async fn texts(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql, &[]).await.unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}"));
    rows.iter().map(|row| row.get(0)).collect()
}

/// What the server says against it: the SQLSTATE and the message.
pub(crate) async fn refusal(client: &Client, sql: &str) -> String {
    let refusal = client.batch_execute(sql).await.expect_err(sql);
    let answer = refusal.as_db_error().unwrap_or_else(|| panic!("{sql}: {refusal:?}"));
    format!("{} {} {}", answer.code().code(), answer.constraint().unwrap_or_default(), answer.message())
}
