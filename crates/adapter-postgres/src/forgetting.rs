//! Forgetting a citizen: one transaction over what belongs to three domains.
//!
//! The domains do not know each other, and this is no rule of either. What it takes from them is the rules whether the money
//! lets the citizen go (`guiche_tickets::forgetting`, `guiche_lightning_setup::SetupStatus::lets_go`), which whoever drives
//! this applies between the two steps.

use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use guiche_kernel::{StoreError, UserId};
use guiche_lightning_setup::SetupStatus;
use guiche_tickets::Ticket;
use guiche_users::Email;
use uuid::Uuid;

use crate::pool::{Lease, PgPool};
use crate::query::{one, sql_call};
use crate::schema::ticket_readings;
use crate::tickets::{Reading, tickets_of};

sql_call! {
    struct BeginForgetting<'a> = "begin_forgetting" {
        email_key: &'a str => Text,
    } -> (SqlUuid,)
}

sql_call! {
    struct TicketsToForget = "tickets_to_forget" {
        user: Uuid => SqlUuid,
    } -> ticket_readings::SqlType
}

sql_call! {
    struct LightningSetupsToForget = "lightning_setups_to_forget" {
        user: Uuid => SqlUuid,
    } -> (Text, Text)
}

sql_call! {
    struct ForgetLightningSetups = "forget_lightning_setups" {
        user: Uuid => SqlUuid,
    } -> (BigInt,)
}

sql_call! {
    struct ForgetUser = "forget_user" {
        user: Uuid => SqlUuid,
    } -> (BigInt, BigInt, BigInt, BigInt, BigInt, BigInt)
}

/// A citizen whose account, tickets and Lightning setups are locked until this is committed or rolled back. Dropped, it is rolled back.
pub struct PgForgetting {
    lease: Lease,
    user: UserId,
    tickets: Vec<Ticket>,
    setups: Vec<HeldSetup>,
}

/// A Lightning setup of a citizen who is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSetup {
    /// The address, `name@domain`.
    pub address: String,
    /// How it stands. Only what [lets go](SetupStatus::lets_go) can be forgotten, whoever tries.
    pub status: SetupStatus,
}

/// How much of a citizen there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// One, or the account was not there.
    pub accounts: i64,
    /// Sign-ins; their refresh tokens are not counted.
    pub sessions: i64,
    /// Idempotency claims.
    pub claims: i64,
    /// Events of the tickets.
    pub events: i64,
    /// Invoices of the tickets.
    pub invoices: i64,
    /// Tickets.
    pub tickets: i64,
    /// Setups of Lightning addresses, with their journals and invoices; the audit trail of them stays.
    pub setups: i64,
}

impl PgForgetting {
    pub(crate) async fn begin(pool: &PgPool, email: &Email) -> Result<Option<Self>, StoreError> {
        let mut lease = pool.lease().await?;
        lease.begin("BEGIN").await?;
        let Some((user,)) = lease.rows(BeginForgetting { email_key: email.key() }).await?.pop() else {
            lease.rollback().await?;
            return Ok(None);
        };
        let readings: Vec<Reading> = lease.rows(TicketsToForget { user }).await?;
        let held: Vec<(String, String)> = lease.rows(LightningSetupsToForget { user }).await?;
        let setup = |(address, status): (String, String)| {
            let status = status.parse().map_err(|_| StoreError::corrupt("an unknown status of a setup"))?;
            Ok(HeldSetup { address, status })
        };
        let setups = held.into_iter().map(setup).collect::<Result<_, StoreError>>()?;
        Ok(Some(Self { lease, user: UserId::new(user), tickets: tickets_of(readings)?, setups }))
    }

    /// Whose account it is.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// Every ticket of the citizen, with its invoices. None comes or changes while this is held.
    #[must_use]
    pub fn tickets(&self) -> &[Ticket] {
        &self.tickets
    }

    /// Every Lightning setup of the citizen. None comes or changes while this is held.
    #[must_use]
    pub fn setups(&self) -> &[HeldSetup] {
        &self.setups
    }

    /// Forgets the citizen, for everybody to see only after [`commit`](Self::commit).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when one of the setups does not let go, and every other [`StoreError`]; then nothing can be
    /// committed.
    pub async fn forget(&mut self) -> Result<Forgotten, StoreError> {
        let user = self.user.as_uuid();
        let (setups,) = one(self.lease.rows(ForgetLightningSetups { user }).await?)?;
        let rows = self.lease.rows(ForgetUser { user }).await?;
        let (accounts, sessions, claims, events, invoices, tickets) = one(rows)?;
        Ok(Forgotten { accounts, sessions, claims, events, invoices, tickets, setups })
    }

    /// Makes it so.
    ///
    /// # Errors
    /// [`StoreError`]; when it is [`StoreError::Unavailable`], whether it is so is unknown.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.lease.commit().await
    }

    /// Leaves everything as it was.
    ///
    /// # Errors
    /// [`StoreError`]; everything is as it was all the same.
    pub async fn rollback(mut self) -> Result<(), StoreError> {
        self.lease.rollback().await
    }
}
