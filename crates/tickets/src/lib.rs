//! Operations, tickets, invoices and their settlement: the money path of Guichê, without I/O
