//! The journey: each step is one sentence of what a citizen does, and one or two calls.

use std::time::Duration;

use guiche_kernel::{BoxError, Clock as _, Randomness, Timestamp};
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

use super::office::{Answer, Office};
use super::qr::Ink;
use super::teller::Teller;
use super::{Outcome, invoice, qr};
use crate::system::SystemClock;

/// The one form that the demo can fill in.
const OPERATION: &str = "driver_license_renewal";
const FILLED_IN: [(&str, &str); 3] =
    [("cpf", "529.982.247-25"), ("cnh_number", "02650306461"), ("cnh_mirror", "123456789")];
const TYPO: (&str, &str) = ("cpf", "529.982.247-26");
/// How often the office is asked whether somebody's wallet has paid.
const ASKED_EVERY: Duration = Duration::from_secs(2);

/// One citizen on the way through one office.
pub(super) struct Journey {
    pub(super) teller: Teller,
    pub(super) office: Office,
    /// `None`: no QR code.
    pub(super) ink: Option<Ink>,
    /// Whether the office exists for this journey only.
    pub(super) private: bool,
}

/// What was opened.
struct Ticket {
    id: String,
    hash: String,
    bolt11: String,
    amount: u64,
    expires_at: String,
}

impl Journey {
    /// Goes all the way.
    ///
    /// # Errors
    /// The step that failed, and why.
    pub(super) async fn walk(mut self, randomness: &dyn Randomness) -> Result<Outcome, BoxError> {
        let walked = self.steps(randomness).await;
        walked.map_err(|error| format!("{}: {error}", self.teller.place()).into())
    }

    async fn steps(&mut self, randomness: &dyn Randomness) -> Result<Outcome, BoxError> {
        let words = self.teller.words();
        self.teller.say(words.title)?;
        self.teller.say(&words.place(self.private, self.office.url().as_str()))?;
        self.teller.say("")?;
        let email = self.register_and_sign_in(randomness).await?;
        let operation = self.choose().await?;
        let code = self.mistype(operation).await?;
        let ticket = self.open_twice(operation, randomness).await?;
        self.show(&ticket)?;
        self.pay(&ticket).await?;
        let confirmed = self.confirm(&ticket).await?;
        Ok(Outcome {
            url: Some(self.office.url().to_string()),
            email,
            operation: OPERATION.to_owned(),
            payment_status: confirmed.text("payment_status")?,
            paid_at: confirmed.text("paid_at")?,
            ticket_id: ticket.id,
            payment_hash: ticket.hash,
            ln_invoice: ticket.bolt11,
            amount_sats: ticket.amount,
            expires_at: ticket.expires_at,
            typo_refused_as: code,
            repeated_answer_is_the_same: true,
        })
    }

    async fn register_and_sign_in(&mut self, randomness: &dyn Randomness) -> Result<String, BoxError> {
        let words = self.teller.words();
        self.teller.begin(words.register);
        let email = format!("demo-{}@example.org", any(randomness));
        let account = json!({"email": email, "password": format!("{}{}", any(randomness), any(randomness))});
        self.office.post("/api/v1/auth/register", Some(&account)).await?;
        self.teller.tell(std::slice::from_ref(&email))?;

        self.teller.begin(words.sign_in);
        let session = self.office.post("/api/v1/auth/login", Some(&account)).await?;
        self.office.sign_in_with(&session.text("access_token")?);
        self.teller.tell(&[words.signed_in(session.number("expires_in")?)])?;
        Ok(email)
    }

    /// Finds the operation in the catalogue, and shows its form; returns its number.
    async fn choose(&mut self) -> Result<u64, BoxError> {
        let words = self.teller.words();
        self.teller.begin(words.choose);
        let catalogue = self.office.get("/api/v1/operations").await?;
        let offered = catalogue.json.as_array().into_iter().flatten();
        let operation =
            offered.into_iter().find(|operation| operation.get("name").is_some_and(|name| name == OPERATION));
        let operation =
            operation.ok_or("the office does not offer driver_license_renewal, the one form known here")?;
        let text =
            |place: &str| operation.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
        let price =
            operation.get("price_sats").and_then(Value::as_u64).ok_or("the operation has no price")?;
        self.teller.tell(&[words.price(OPERATION, price), text("/description")])?;

        self.teller.begin(words.form);
        let fields = operation.get("required_fields").and_then(Value::as_array).into_iter().flatten();
        let fields = fields.filter_map(Value::as_str);
        let fields =
            fields.map(|name| format!("{name} ({})", text(&format!("/form_schema/properties/{name}/title"))));
        self.teller.tell(&[fields.collect::<Vec<_>>().join(", ")])?;
        operation.get("id").and_then(Value::as_u64).ok_or_else(|| "the operation has no number".into())
    }

    /// Sends the form with a typo, which must be refused; returns the code of the refusal.
    async fn mistype(&mut self, operation: u64) -> Result<String, BoxError> {
        let words = self.teller.words();
        self.teller.begin(words.typo);
        let (field, value) = TYPO;
        let answer = self.office.try_post("/api/v1/tickets", Some(&order(operation, Some(TYPO)))).await?;
        if answer.status.is_success() {
            return Err("the office took a CPF whose check digits are wrong".into());
        }
        let pointer = answer.json.pointer("/errors/0/pointer").and_then(Value::as_str);
        if pointer != Some(&format!("/form_data/{field}")) {
            return Err(answer.refusal().into());
        }
        let code = answer.text("code")?;
        self.teller.tell(&[words.wrong_digits(field, value), words.refused(&code)])?;
        Ok(code)
    }

    /// Opens the ticket, and then does as if the answer had been lost.
    async fn open_twice(&mut self, operation: u64, randomness: &dyn Randomness) -> Result<Ticket, BoxError> {
        let words = self.teller.words();
        self.teller.begin(words.open);
        let (order, key) = (order(operation, None), format!("demo-{}", any(randomness)));
        let first = self.office.post_once("/api/v1/tickets", &order, &key).await?;
        let ticket = Ticket {
            id: first.text("ticket_id")?,
            hash: first.text("payment_hash")?,
            bolt11: first.text("ln_invoice")?,
            amount: first.number("amount_sats")?,
            expires_at: first.text("expires_at")?,
        };
        self.teller.tell(&[words.opened(&ticket.id, &first.text("payment_status")?)])?;

        self.teller.begin(words.repeat);
        let second = self.office.post_once("/api/v1/tickets", &order, &key).await?;
        if first != second {
            return Err("the repeated request got another answer".into());
        }
        self.teller.tell(&[words.repeated.to_owned()])?;
        Ok(ticket)
    }

    fn show(&mut self, ticket: &Ticket) -> Result<(), BoxError> {
        let words = self.teller.words();
        self.teller.begin(words.invoice);
        let decoded = invoice::decode(&ticket.bolt11)?;
        if (decoded.amount_sats, &decoded.payment_hash) != (ticket.amount, &ticket.hash) {
            return Err("the invoice is not what the office says it is".into());
        }
        let mut told = vec![
            words.decoded(decoded.amount_sats, decoded.expires_at),
            format!("{}:", words.hash),
            decoded.payment_hash,
        ];
        let code = self.ink.map(|ink| qr::lines(&ticket.bolt11, ink));
        if let Some(None) = code {
            told.push(words.too_wide.to_owned());
        }
        self.teller.tell(&told)?;
        if let Some(Some(code)) = code {
            self.teller.show(&code)?;
        }
        Ok(self.teller.say(&ticket.bolt11)?)
    }

    /// By the stub's own wallet where there is one. Where there is none, whoever watches pays: see [`Self::confirm`].
    async fn pay(&mut self, ticket: &Ticket) -> Result<(), BoxError> {
        let words = self.teller.words();
        self.teller.begin(words.pay);
        let paid = self.office.try_post(&format!("/dev/invoices/{}/pay", ticket.hash), None).await?;
        if paid.status.as_u16() == 404 {
            return Ok(self.teller.tell(&[words.your_wallet.to_owned()])?);
        }
        if !paid.status.is_success() {
            return Err(paid.refusal().into());
        }
        Ok(self.teller.tell(&[words.paid_by_stub(moment(&paid.text("paid_at")?)?)])?)
    }

    /// Asks until the office knows of the payment, and then once more.
    async fn confirm(&mut self, ticket: &Ticket) -> Result<Answer, BoxError> {
        let words = self.teller.words();
        self.teller.begin(words.confirm);
        let path = format!("/api/v1/tickets/{}/confirm-payment", ticket.id);
        let until = moment(&ticket.expires_at)?;
        let confirmed = loop {
            let answer = self.office.post(&path, None).await?;
            match answer.text("payment_status")?.as_str() {
                "paid" => break answer,
                "pending" if SystemClock.now() < until => tokio::time::sleep(ASKED_EVERY).await,
                "pending" => return Err("nobody paid before the invoice ran out".into()),
                other => return Err(format!("the ticket is {other}").into()),
            }
        };
        self.teller.tell(&[words.confirmed(&confirmed.text("payment_status")?)])?;

        self.teller.begin(words.again);
        let again = self.office.post(&path, None).await?;
        if again != confirmed {
            return Err("the second answer differs from the first".into());
        }
        self.teller.tell(&[words.still.to_owned()])?;
        Ok(confirmed)
    }
}

/// The request for a ticket, with one field as given.
fn order(operation: u64, instead: Option<(&str, &str)>) -> Value {
    let fields = FILLED_IN.into_iter().chain(instead);
    let form: Map<String, Value> = fields.map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({"operation_id": operation, "form_data": form})
}

/// Eight letters that differ from run to run.
fn any(randomness: &dyn Randomness) -> String {
    let mut bytes = [0; 4];
    randomness.fill(&mut bytes);
    format!("{:08x}", u32::from_be_bytes(bytes))
}

fn moment(text: &str) -> Result<Timestamp, BoxError> {
    Ok(Timestamp::parse(text, &Rfc3339)?)
}
