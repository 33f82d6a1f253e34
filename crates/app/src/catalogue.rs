//! The catalogue of operations, remembered: every ticket needs it, everybody may read it, and it changes a few times a year.
//!
//! What was read is good for a second. After that the first who asks reads anew, and whoever comes meanwhile is answered
//! from memory, up to another second: nobody waits because something *may* have changed. Beyond that all wait for the one
//! reading that is under way. So a change shows on every replica within two seconds, and a database that is away is told:
//! at once to whoever reads, after two seconds to everybody.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use actix_web::web::Bytes;
use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use guiche_kernel::{Clock, StoreError, Timestamp};
use guiche_tickets::{Operation, OperationCatalogue, OperationId};

/// An offer younger than this is not asked about.
const FRESH: Duration = Duration::from_secs(1);
/// An offer older than this is shown to nobody.
const STALE: Duration = Duration::from_secs(2);

/// A catalogue that reads another one now and then. Times are those of the injected clock.
pub struct RememberedCatalogue {
    source: Arc<dyn OperationCatalogue>,
    clock: Arc<dyn Clock>,
    memory: Mutex<Memory>,
}

/// What is on offer, as it was read.
pub struct Offer {
    operations: Vec<Operation>,
    rendered: OnceLock<Bytes>,
}

#[derive(Default)]
struct Memory {
    /// With the moment at which its reading began.
    offer: Option<(Timestamp, Arc<Offer>)>,
    reading: Option<(Timestamp, Reading)>,
}

/// A reading that any number wait for; it goes on as long as one of them does.
type Reading = Shared<BoxFuture<'static, Result<Arc<Offer>, Arc<StoreError>>>>;

impl Offer {
    /// Every active operation, in the order of their ids.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The offer as bytes, made when first asked for.
    ///
    /// # Errors
    /// What `render` answered; it is asked again the next time.
    pub fn rendered<E>(&self, render: impl FnOnce(&[Operation]) -> Result<Bytes, E>) -> Result<Bytes, E> {
        if let Some(rendered) = self.rendered.get() {
            return Ok(rendered.clone());
        }
        let rendered = render(&self.operations)?;
        Ok(self.rendered.get_or_init(|| rendered).clone())
    }
}

impl RememberedCatalogue {
    /// Remembers what the source says.
    #[must_use]
    pub fn new(source: Arc<dyn OperationCatalogue>, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, memory: Mutex::default() }
    }

    /// What is on offer.
    ///
    /// # Errors
    /// What the source answered, to all who waited for it.
    pub async fn offer(&self) -> Result<Arc<Offer>, StoreError> {
        let reading = match self.remembered() {
            Ok(offer) => return Ok(offer),
            Err(reading) => reading,
        };
        reading.await.map_err(|refusal| told_again(&refusal))
    }

    /// What can be answered from memory, or else the reading to wait for.
    fn remembered(&self) -> Result<Arc<Offer>, Reading> {
        let now = self.clock.now();
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.take_in();
        // A clock that was set back makes an offer as old as one that was set forward.
        let age = memory.offer.as_ref().map(|(at, _)| (now - *at).unsigned_abs());
        let usable = match memory.reading {
            Some(_) => STALE,
            None => FRESH,
        };
        if let Some((_, offer)) = &memory.offer
            && age.is_some_and(|age| age < usable)
        {
            return Ok(Arc::clone(offer));
        }
        let (_, reading) = memory.reading.get_or_insert_with(|| (now, read(Arc::clone(&self.source))));
        Err(reading.clone())
    }
}

impl Memory {
    /// Remembers what a reading that has ended brought.
    fn take_in(&mut self) {
        let Some((at, reading)) = &self.reading else { return };
        let Some(outcome) = reading.peek() else { return };
        if let Ok(offer) = outcome {
            self.offer = Some((*at, Arc::clone(offer)));
        }
        self.reading = None;
    }
}

fn read(source: Arc<dyn OperationCatalogue>) -> Reading {
    let read = async move {
        let operations = source.list().await.map_err(Arc::new)?;
        Ok(Arc::new(Offer { operations, rendered: OnceLock::new() }))
    };
    read.boxed().shared()
}

fn told_again(refusal: &Arc<StoreError>) -> StoreError {
    match &**refusal {
        StoreError::Unavailable(_) => StoreError::Unavailable(Arc::clone(refusal).into()),
        StoreError::Corrupt(_) => StoreError::Corrupt(Arc::clone(refusal).into()),
        StoreError::Duplicate => StoreError::Duplicate,
        StoreError::Conflict => StoreError::Conflict,
        StoreError::Revoked => StoreError::Revoked,
    }
}

#[async_trait]
impl OperationCatalogue for RememberedCatalogue {
    async fn list(&self) -> Result<Vec<Operation>, StoreError> {
        Ok(self.offer().await?.operations.clone())
    }

    async fn find(&self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        Ok(self.offer().await?.operations.iter().find(|operation| operation.id == id).cloned())
    }

    async fn find_by_name(&self, name: &str) -> Result<Option<Operation>, StoreError> {
        Ok(self.offer().await?.operations.iter().find(|operation| operation.name == name).cloned())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use futures::future::join_all;
    use guiche_kernel::Sats;
    use guiche_kernel::testing::ManualClock;
    use guiche_tickets::testing::license_operation;
    use tokio::sync::Semaphore;

    use super::*;

    /// A catalogue with one operation whose price is the number of the reading; it answers when it is let.
    struct Source {
        readings: AtomicUsize,
        away: AtomicBool,
        answers: Semaphore,
    }

    #[async_trait]
    impl OperationCatalogue for Source {
        async fn list(&self) -> Result<Vec<Operation>, StoreError> {
            let reading = self.readings.fetch_add(1, Ordering::Relaxed) + 1;
            self.answers.acquire().await.unwrap().forget();
            if self.away.load(Ordering::Relaxed) {
                return Err(StoreError::Unavailable("away".into()));
            }
            let price = Sats::try_from(i64::try_from(reading).unwrap()).unwrap();
            Ok(vec![Operation { price, ..license_operation() }])
        }
        async fn find(&self, _: OperationId) -> Result<Option<Operation>, StoreError> {
            panic!("the list says it all")
        }
        async fn find_by_name(&self, _: &str) -> Result<Option<Operation>, StoreError> {
            panic!("the list says it all")
        }
    }

    struct Scene {
        source: Arc<Source>,
        clock: Arc<ManualClock>,
        catalogue: Arc<RememberedCatalogue>,
    }

    fn scene(answers: usize) -> Scene {
        let source = Arc::new(Source {
            readings: AtomicUsize::new(0),
            away: AtomicBool::new(false),
            answers: Semaphore::new(answers),
        });
        let clock = Arc::new(ManualClock::default());
        let catalogue = Arc::new(RememberedCatalogue::new(source.clone(), clock.clone()));
        Scene { source, clock, catalogue }
    }

    impl Scene {
        fn readings(&self) -> usize {
            self.source.readings.load(Ordering::Relaxed)
        }

        async fn price(&self) -> Result<u64, StoreError> {
            Ok(self.catalogue.offer().await?.operations()[0].price.get())
        }
    }

    #[tokio::test]
    async fn however_many_ask_it_is_read_once_a_second() {
        let scene = scene(9);
        for found in join_all((0..100).map(|_| scene.price())).await {
            assert_eq!(found.unwrap(), 1);
        }
        scene.clock.advance(FRESH - Duration::from_millis(1));
        assert_eq!(scene.price().await.unwrap(), 1);
        assert_eq!(scene.readings(), 1);
        scene.clock.advance(Duration::from_millis(1));
        for found in join_all((0..100).map(|_| scene.price())).await {
            found.unwrap();
        }
        assert_eq!(scene.price().await.unwrap(), 2);
        assert_eq!(scene.readings(), 2);
        let catalogue: &dyn OperationCatalogue = &*scene.catalogue;
        let operation = license_operation();
        assert_eq!(catalogue.list().await.unwrap().len(), 1);
        assert!(catalogue.find(operation.id).await.unwrap().is_some());
        assert!(catalogue.find(OperationId::new(99)).await.unwrap().is_none());
        assert!(catalogue.find_by_name(&operation.name).await.unwrap().is_some());
        assert!(catalogue.find_by_name("").await.unwrap().is_none());
        assert_eq!(scene.readings(), 2);
    }

    #[tokio::test]
    async fn while_one_reads_the_others_go_on_with_what_was_known_for_a_second_more() {
        let scene = scene(1);
        scene.price().await.unwrap();
        scene.clock.advance(FRESH);
        let reader = tokio::spawn({
            let catalogue = scene.catalogue.clone();
            async move { catalogue.offer().await.map(|offer| offer.operations()[0].price.get()) }
        });
        tokio::task::yield_now().await;
        assert_eq!(scene.readings(), 2);
        assert_eq!(scene.price().await.unwrap(), 1, "from memory");
        scene.clock.advance(STALE - FRESH);
        let mut late = Box::pin(scene.price());
        assert!((&mut late).now_or_never().is_none(), "what is older is shown to nobody");
        // The one who began may leave: the others go on with its reading.
        reader.abort();
        assert!(reader.await.unwrap_err().is_cancelled());
        scene.source.answers.add_permits(1);
        assert_eq!(late.await.unwrap(), 2);
        assert_eq!(scene.readings(), 2);
    }

    #[tokio::test]
    async fn an_outage_is_told_and_not_remembered() {
        let scene = scene(9);
        scene.price().await.unwrap();
        scene.source.away.store(true, Ordering::Relaxed);
        assert!(scene.price().await.is_ok(), "nobody has noticed");
        scene.clock.advance(FRESH);
        for _ in 0..2 {
            let refused = scene.price().await;
            assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        }
        scene.source.away.store(false, Ordering::Relaxed);
        assert!(scene.price().await.is_ok());
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_makes_nothing_younger() {
        let scene = scene(9);
        scene.price().await.unwrap();
        scene.clock.set(scene.clock.now() - Duration::from_hours(1));
        assert_eq!(scene.price().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn an_offer_is_rendered_once() {
        let scene = scene(9);
        let offer = scene.catalogue.offer().await.unwrap();
        assert_eq!(offer.rendered(|_| Err("broken")), Err("broken"));
        let count = |operations: &[Operation]| Ok::<_, ()>(Bytes::from(operations.len().to_string()));
        assert_eq!(offer.rendered(count).unwrap(), "1");
        assert_eq!(offer.rendered(|_| Err("again")).unwrap(), "1");
    }
}
