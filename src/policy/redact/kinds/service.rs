//! Keys of other services: what watches, stores, plans and designs.

use super::{Kind, exact, key, weak, within};

#[rustfmt::skip]
pub(super) static KINDS: &[Kind] = &[
    exact("twilio", &["SK0", "SK1", "SK2", "SK3", "SK4", "SK5", "SK6", "SK7", "SK8", "SK9", "SKa", "SKb", "SKc", "SKd", "SKe", "SKf"], r"SK[a-f0-9]{32}"),
    key("new-relic", &["NRAK-", "NRII-", "NRIQ-", "NRSP-", "NRRA-", "NRJS-"], r"NR(?:AK|II|IQ|SP|RA|JS)-[A-Za-z0-9_-]{19,40}"),
    within("new-relic-licence", &["NRAL"], 40, r"\b[a-f0-9]{36}NRAL"),
    key("datadog-public", &["ddp_", "ddapp_"], r"dd(?:p|app)_[A-Za-z0-9]{34,40}"),
    key("sentry", &["sntrys_", "sntryu_", "sntryi_"], r"sntry[sui]_[A-Za-z0-9+/=_-]{40,}"),
    key("grafana", &["glsa_"], r"glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}"),
    key("grafana-cloud", &["glc_"], r"glc_[A-Za-z0-9+/]{32,}={0,2}"),
    key("posthog", &["phc_", "phx_", "phs_"], r"ph[cxs]_[A-Za-z0-9]{40,48}"),
    key("honeycomb", &["hcaik_", "hcbik_", "hcxik_", "hcamk_"], r"hc(?:[abx]ik|amk)_[a-z0-9]{32,64}"),
    key("axiom", &["xaat-", "xapt-"], r"xa[ap]t-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    key("logfire", &["pylf_v"], r"pylf_v\d_[a-z]{2}_[A-Za-z0-9]{40,}"),
    key("linear", &["lin_api_", "lin_oauth_"], r"lin_(?:api|oauth)_[A-Za-z0-9]{40,64}"),
    key("notion", &["ntn_"], r"ntn_[A-Za-z0-9]{40,}"),
    weak("notion-old", &["secret_"], r"secret_[A-Za-z0-9]{43}"),
    exact("airtable", &["pat"], r"pat[A-Za-z0-9]{14}\.[a-f0-9]{16,64}"),
    within("asana", &["0/1", "1/1", "2/1"], 0, r"\b[012]/1\d{12,18}(?:/\d{12,18})?:[a-f0-9]{10,32}"),
    key("figma", &["figd_", "figo_", "figu_"], r"fig[dou]_[A-Za-z0-9_-]{40,}"),
    weak("dropbox", &["sl."], r"sl\.(?:u\.)?[A-Za-z0-9_-]{60,}"),
    key("contentful", &["CFPAT-"], r"CFPAT-[A-Za-z0-9_-]{43}"),
    key("mapbox", &["sk.eyJ", "pk.eyJ"], r"[sp]k\.eyJ[A-Za-z0-9_-]{50,}\.[A-Za-z0-9_-]{20,}"),
    key("typeform", &["tfp_"], r"tfp_[A-Za-z0-9_.=-]{59}"),
    key("hubspot", &["pat-na1-", "pat-eu1-", "pat-na2-", "pat-ap1-"], r"pat-[a-z]{2}\d-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    weak("intercom", &["dG9rO"], r"dG9rO[A-Za-z0-9+/]{54,60}={0,2}"), // "tok:" in base64
    key("frame-io", &["fio-u-"], r"fio-u-[A-Za-z0-9_=-]{64}"),
    weak("ngrok", &["ngrok"], r"ngrok_[A-Za-z0-9]{40,}"),
    weak("clickup", &["pk_"], r"pk_\d{6,9}_[A-Z0-9]{10,32}"),
    key("readme", &["rdme_"], r"rdme_[a-z0-9]{70}"),
    key("onesignal", &["os_v2_"], r"os_v2_(?:app|org)_[a-z0-9]{40,}"),
    key("nightfall", &["NF-"], r"NF-[A-Za-z0-9]{32}"),
    key("defined-networking", &["dnkey-"], r"dnkey-[A-Za-z0-9_=-]{26}-[A-Za-z0-9_=-]{52}"),
    weak("settlemint", &["sm_aat_", "sm_pat_", "sm_sat_"], r"sm_[aps]at_[A-Za-z0-9]{16}"),
    key("trigger-dev", &["tr_dev_", "tr_prod_", "tr_pat_"], r"tr_(?:dev|prod|pat)_[A-Za-z0-9]{20,40}"),
    key("inngest", &["signkey-"], r"signkey-(?:prod|test|branch)-[a-f0-9]{32,64}"),
    key("unkey", &["unkey_"], r"unkey_[A-Za-z0-9]{20,}"),
    key("knock", &["pk_prod_", "sk_prod_"], r"[ps]k_prod_[A-Za-z0-9_-]{20,}"),
    weak("flagsmith", &["ser."], r"ser\.[A-Za-z0-9]{22}"),
    key("dbt", &["dbtc_", "dbtu_"], r"dbt[cu]_[A-Za-z0-9_=-]{40,}"),
];
