//! Lightning invoices through WDK Spark: the development stub
