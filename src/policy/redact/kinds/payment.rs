//! Keys of payment, shops and money.

use super::{Kind, key, weak};

#[rustfmt::skip]
pub(super) static KINDS: &[Kind] = &[
    key("stripe", &["sk_live_", "sk_test_"], r"sk_(?:live|test)_[A-Za-z0-9]{16,}"),
    key("stripe-restricted", &["rk_live_", "rk_test_"], r"rk_(?:live|test)_[A-Za-z0-9]{16,}"),
    key("stripe-organisation", &["sk_org_"], r"sk_org_(?:live|test)_[A-Za-z0-9_]{16,}"),
    key("webhook-secret", &["whsec_"], r"whsec_[A-Za-z0-9+/]{16,}={0,2}"), // Stripe, Svix and all of Standard Webhooks
    key("square", &["sq0csp-", "sq0atp-", "sq0idp-"], r"sq0(?:csp-[A-Za-z0-9_-]{43}|[ai][td]p-[A-Za-z0-9_-]{22})"),
    weak("square-token", &["EAAA"], r"EAAA[A-Za-z0-9_-]{60}"),
    key("paypal-braintree", &["access_token$"], r"access_token\$(?:production|sandbox)\$[a-z0-9$]{8,49}"),
    weak("adyen", &["AQE"], r"AQE[a-z][A-Za-z0-9+/]{30,}={0,2}-[A-Za-z0-9+/]{30,}={0,2}-[A-Za-z0-9+/=_-]{8,24}"),
    key("razorpay", &["rzp_live_", "rzp_test_"], r"rzp_(?:live|test)_[A-Za-z0-9]{14,24}"),
    key("shopify", &["shpat_", "shpca_", "shppa_", "shpss_", "shptka_", "shpua_"], r"shp(?:at|ca|pa|ss|tka|ua)_[A-Fa-f0-9]{32}"),
    key("flutterwave", &["FLWSECK"], r"FLWSECK(?:_TEST)?-[A-Za-z0-9]{12,32}-X"),
    key("plaid", &["access-sandbox-", "access-production-", "access-development-"], r"access-(?:sandbox|production|development)-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    weak("mollie", &["live_", "test_"], r"(?:live|test)_[A-Za-z0-9]{30}"),
    weak("mercado-pago", &["APP_USR-", "TEST-"], r"(?:APP_USR|TEST)-\d{10,20}-\d{6}-[a-f0-9]{32}-\d{5,12}"),
    key("paddle", &["pdl_live_", "pdl_sdbx_"], r"pdl_(?:live|sdbx)_apikey_[A-Za-z0-9]{26}_[A-Za-z0-9]{22}_[A-Za-z0-9]{3}"),
    key("easypost", &["EZAK", "EZTK"], r"EZ[AT]K[A-Za-z0-9]{54}"),
    key("duffel", &["duffel_live_", "duffel_test_"], r"duffel_(?:live|test)_[A-Za-z0-9_=-]{43}"),
    key("gocardless", &["live_gc_", "sandbox_gc_"], r"(?:live|sandbox)_gc_[A-Za-z0-9_=-]{30,}"),
    key("shippo", &["shippo_live_", "shippo_test_"], r"shippo_(?:live|test)_[a-f0-9]{40}"),
    key("lob", &["live_pub_", "test_pub_"], r"(?:live|test)_pub_[a-f0-9]{31}"),
];
