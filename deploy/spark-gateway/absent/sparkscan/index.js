// The published client names no licence, and only the wallet's transaction history would call it.
// The names must exist, because the wallet imports them; calling one is a defect.

function absent() {
  throw new Error('the block explorer is not part of this gateway');
}

export const addressSummaryV1AddressAddressGet = absent;
export const getAddressTokensV1AddressAddressTokensGet = absent;
export const getTransactionDetailsByIdV1TxTxidGet = absent;
