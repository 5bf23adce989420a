//! Keys of git hosts, package registries and what builds and ships.

use super::{Kind, exact, key, weak};

#[rustfmt::skip]
pub(super) static KINDS: &[Kind] = &[
    key("github-personal", &["ghp_"], r"ghp_[A-Za-z0-9]{36}"), // GitHub docs, about authentication
    key("github-oauth", &["gho_"], r"gho_[A-Za-z0-9]{36}"),
    key("github-user", &["ghu_"], r"ghu_[A-Za-z0-9]{36}"),
    key("github-server", &["ghs_"], r"ghs_[A-Za-z0-9]{36}"),
    key("github-refresh", &["ghr_"], r"ghr_[A-Za-z0-9]{36,76}"),
    key("github-fine-grained", &["github_pat_"], r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    key("gitlab-personal", &["glpat-"], r"glpat-[A-Za-z0-9_-]{20}(?:[A-Za-z0-9_-]*\.[0-9a-z]{2}\.[0-9a-z]{7,9})?"), // GitLab docs, token overview
    key("gitlab-runner", &["glrt-", "glrtr-", "GR1348941"], r"(?:glrtr?-(?:t\d_)?|GR1348941)[A-Za-z0-9_-]{20,}"),
    key("gitlab-deploy", &["gldt-"], r"gldt-[A-Za-z0-9_-]{20,}"),
    key("gitlab-pipeline", &["glptt-"], r"glptt-[a-f0-9]{40}"),
    key("gitlab-oauth-secret", &["gloas-"], r"gloas-[a-f0-9]{64}"),
    key("gitlab-job", &["glcbt-"], r"glcbt-[A-Za-z0-9]{1,5}_[A-Za-z0-9_-]{20,}"),
    key("gitlab-feed", &["glft-"], r"glft-[A-Za-z0-9_-]{20,}"),
    key("gitlab-mail", &["glimt-"], r"glimt-[A-Za-z0-9_-]{25}"),
    key("gitlab-agent", &["glagent-"], r"glagent-[A-Za-z0-9_-]{50,1024}"),
    key("gitlab-scim", &["glsoat-"], r"glsoat-[A-Za-z0-9_-]{20,}"),
    key("gitlab-feature-flags", &["glffct-"], r"glffct-[A-Za-z0-9_-]{20,}"),
    key("bitbucket", &["ATBB"], r"ATBB[A-Za-z0-9]{32}"),
    key("bitbucket-repository", &["ATCTT3"], r"ATCTT3[A-Za-z0-9_=-]{100,}"),
    key("atlassian", &["ATATT3"], r"ATATT3[A-Za-z0-9_=-]{100,}"),
    key("sourcegraph", &["sgp_", "sgd_", "slk_"], r"(?:sgp_(?:[a-f0-9]{16}_|local_)?|sgd_|slk_)[a-f0-9]{40,64}"),
    key("npm", &["npm_"], r"npm_[A-Za-z0-9]{36}"),
    key("pypi", &["pypi-AgE"], r"pypi-AgE[A-Za-z0-9_-]{50,}"), // a macaroon for pypi.org
    weak("pypi-any", &["pypi-"], r"pypi-[A-Za-z0-9_-]{60,}"),
    key("rubygems", &["rubygems_"], r"rubygems_[a-f0-9]{48}"),
    weak("crates-io", &["cio"], r"cio[A-Za-z0-9]{32}"),
    weak("nuget", &["oy2"], r"oy2[a-z0-9]{43}"),
    key("docker", &["dckr_pat_", "dckr_oat_"], r"dckr_[po]at_[A-Za-z0-9_-]{27,32}"),
    key("clojars", &["CLOJARS_"], r"CLOJARS_[a-z0-9]{60}"),
    weak("artifactory", &["AKCp"], r"AKCp[A-Za-z0-9]{60,70}"),
    weak("artifactory-reference", &["cmVmdGtu"], r"cmVmdGtu[A-Za-z0-9]{56}"), // "reftkn" in base64
    key("packagist", &["packagist_"], r"packagist_(?:[a-z]{3}_)?[a-f0-9]{60,}"),
    key("circleci", &["CCIPAT_", "CCIPRJ_"], r"CCIP(?:AT|RJ)_[A-Za-z0-9]{20,24}_[a-f0-9]{40}"),
    key("buildkite", &["bkua_", "bkct_", "bkaj_"], r"bk(?:ua|ct|aj)_[A-Za-z0-9_-]{40,}"),
    key("sonar", &["squ_", "sqp_", "sqa_", "sqb_"], r"sq[upab]_[a-f0-9]{40}"),
    key("postman", &["PMAK-"], r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    key("snyk", &["snyk_"], r"snyk_(?:uat|sat)\.[a-f0-9]{8}\.[A-Za-z0-9_.-]{40,}"),
    exact("launchdarkly", &["sdk-", "api-", "mob-"], r"(?:sdk|api|mob)-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    key("openshift", &["sha256~"], r"sha256~[A-Za-z0-9_-]{43}"),
    weak("prefect", &["pnu_", "pnb_"], r"pn[ub]_[A-Za-z0-9]{36}"),
    key("expo", &["expo_"], r"expo_[A-Za-z0-9_-]{40}"),
];
