//! The conventions' names of providers, remembered: an agent asks the same few over and over.

use crate::semconv::{Form, provider_name, provider_system};

/// More than an agent asks.
const MOST: usize = 16;

/// The names of the providers met last.
#[derive(Debug, Default)]
pub(super) struct Providers(Vec<Provider>);

#[derive(Debug)]
struct Provider {
    stated: String,
    name: String,
    system: String,
}

impl Providers {
    /// What a form makes of a provider as the code called it; `None` for a form of something else.
    pub(super) fn formed(&mut self, form: Form, stated: &str) -> Option<&str> {
        let met = self.0.iter().position(|known| known.stated == stated);
        let at = met.unwrap_or_else(|| self.meet(stated));
        let provider = self.0.get(at)?;
        match form {
            Form::Provider => Some(&provider.name),
            Form::System => Some(&provider.system),
            _ => None,
        }
    }

    /// Remembers a provider; its place.
    fn meet(&mut self, stated: &str) -> usize {
        if self.0.len() == MOST {
            self.0.clear();
        }
        self.0.push(Provider {
            stated: stated.to_owned(),
            name: provider_name(stated),
            system: provider_system(stated),
        });
        self.0.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, MOST, Providers};

    #[test]
    fn a_provider_met_again_has_the_same_names() {
        let mut providers = Providers::default();
        for _ in 0..2 {
            for number in 0..=MOST {
                let other = format!("Other-{number}");
                let name = providers.formed(Form::Provider, &other);
                assert_eq!(name, Some(other.to_ascii_lowercase().as_str()));
            }
            assert_eq!(providers.formed(Form::System, "xai"), Some("xai"));
            assert_eq!(providers.formed(Form::Provider, "xai"), Some("x_ai"));
            assert_eq!(providers.formed(Form::Raw, "xai"), None);
        }
    }
}
