/** A CA that no system trusts: its key was thrown away when it was made. Good for a hundred years. */
export const TEST_CA = `-----BEGIN CERTIFICATE-----
MIIBkjCCATegAwIBAgIUWj567CkI+iFPDGsp8/DKyO95zlUwCgYIKoZIzj0EAwIw
HTEbMBkGA1UEAwwSc2FuZC1ib3hlciB0ZXN0IENBMCAXDTI2MTEyNTE2NTQwMFoY
DzIxMjYxMTAxMTY1NDAwWjAdMRswGQYDVQQDDBJzYW5kLWJveGVyIHRlc3QgQ0Ew
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASbDr+OBg1yzbTx9WyRFrlUhFdlFePd
DBIvDRaVS/GR70pM//obVUh0hl6AFmGn1OXJ1pycExKSiJpEFAJ8nW8yo1MwUTAd
BgNVHQ4EFgQUnLphSZgOmZJSG2bUzlNlo/N55vwwHwYDVR0jBBgwFoAUnLphSZgO
mZJSG2bUzlNlo/N55vwwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBG
AiEAuuVB8NawoNNHBsndq49c14RxpgfN9kbGjOTbkkHb+joCIQDLKFEnT3y164Ba
ebWDhm6zU4ywVaslCWM5o/qbPDdyAA==
-----END CERTIFICATE-----
`;

export const TEST_CA_NAME = "sand-boxer test CA";
