//! Which future a function returns, and so what there is to watch.

use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{
    GenericArgument, PathArguments, PathSegment, ReturnType, Signature, Token, Type, TypeInfer,
    TypeParamBound,
};

/// What a call of the function yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A value: the work is done when the function returns.
    Value,
    /// `async fn`: the work is the body.
    Async,
    /// `impl Future<..>`: the work is in what is returned.
    Future,
    /// `Pin<Box<dyn Future<..>>>`, which is also what `async_trait` makes of a method.
    Boxed,
}

/// What a call of the function yields, as far as its signature tells.
pub(crate) fn shape(signature: &Signature) -> Shape {
    if signature.asyncness.is_some() {
        return Shape::Async;
    }
    match &signature.output {
        ReturnType::Default => Shape::Value,
        ReturnType::Type(_, output) => match bare(output) {
            Type::ImplTrait(output) if names_future(&output.bounds) => Shape::Future,
            output if is_boxed_future(output) => Shape::Boxed,
            _ => Shape::Value,
        },
    }
}

/// The type with every `impl Trait` left to inference: the only way to write it inside a body.
pub(crate) fn inferred(output: &Type) -> Type {
    let mut output = output.clone();
    InferImplTrait.visit_type_mut(&mut output);
    output
}

struct InferImplTrait;

impl VisitMut for InferImplTrait {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::ImplTrait(opaque) = ty {
            let underscore_token = Token![_](opaque.impl_token.span);
            *ty = Type::Infer(TypeInfer {
                attrs: Vec::new(),
                underscore_token,
            });
        } else {
            visit_mut::visit_type_mut(self, ty);
        }
    }
}

/// `Pin<Box<dyn Future<..>>>`, or the names the futures crate gives it.
fn is_boxed_future(output: &Type) -> bool {
    match last_segment(output) {
        Some(alias) if alias.ident == "BoxFuture" || alias.ident == "LocalBoxFuture" => true,
        Some(pin) if pin.ident == "Pin" => first_type(pin)
            .and_then(last_segment)
            .filter(|pointer| pointer.ident == "Box")
            .and_then(first_type)
            .is_some_and(|pointee| match pointee {
                Type::TraitObject(pointee) => names_future(&pointee.bounds),
                Type::ImplTrait(pointee) => names_future(&pointee.bounds),
                _ => false,
            }),
        _ => false,
    }
}

fn names_future(bounds: &Punctuated<TypeParamBound, Token![+]>) -> bool {
    bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "Future"),
        _ => false,
    })
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

fn first_type(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(bare(ty)),
        _ => None,
    })
}

/// The type without parentheses, and without the invisible ones of `macro_rules!`.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        _ => ty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_shape(signature: &str, expected: Shape) {
        let found = syn::parse_str(signature).map(|signature| shape(&signature));
        assert_eq!(found.ok(), Some(expected), "{signature}");
    }

    #[test]
    fn futures_are_known_by_their_signature() {
        assert_shape("fn f()", Shape::Value);
        assert_shape("fn f() -> Result<u8, E>", Shape::Value);
        assert_shape("fn f() -> impl Iterator<Item = u8>", Shape::Value);
        assert_shape("fn f() -> Box<dyn Future<Output = u8>>", Shape::Value);
        assert_shape("async fn f() -> u8", Shape::Async);
        assert_shape("fn f() -> impl Future<Output = u8> + Send", Shape::Future);
        assert_shape(
            "fn f() -> impl Send + core::future::Future<Output = u8>",
            Shape::Future,
        );
        assert_shape("fn f() -> (impl Future<Output = u8>)", Shape::Future);
        assert_shape(
            "fn f<'a>(&'a self) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = u8> + 'a>>",
            Shape::Boxed,
        );
        assert_shape("fn f() -> Pin<Box<impl Future<Output = u8>>>", Shape::Boxed);
        assert_shape("fn f<'a>() -> BoxFuture<'a, u8>", Shape::Boxed);
    }
}
