//! Which future or stream a function returns, and so what there is to watch.

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

/// How a function hands out its stream.
pub(crate) struct Streaming {
    /// Whether it may return an error in its place.
    pub(crate) is_in_result: bool,
    pub(crate) boxing: Boxing,
    /// What `impl Future` and `impl Stream` state of their types. Inside a body both are written `_`, and what
    /// reads a value there has to know its type.
    pub(crate) awaited: Option<Type>,
    pub(crate) item: Option<Type>,
}

/// What the stream is wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boxing {
    /// `impl Stream<..>`: nothing.
    Bare,
    /// `Box<dyn Stream<..> + Unpin>`.
    Box,
    /// `Pin<Box<dyn Stream<..>>>`, under whatever name.
    Pin,
}

/// How the function, or the future that it returns, hands out its stream; `None` where it has none that could be
/// wrapped in another.
pub(crate) fn streaming(signature: &Signature) -> Option<Streaming> {
    let ReturnType::Type(_, output) = &signature.output else {
        return None;
    };
    let output = bare(output);
    let shape = shape(signature);
    let output = match shape {
        Shape::Value | Shape::Async => output,
        Shape::Future | Shape::Boxed => awaited(output)?,
    };
    let fallible = last_segment(output)
        .filter(|segment| segment.ident.to_string().ends_with("Result"))
        .and_then(first_type);
    let stream = fallible.unwrap_or(output);
    let item = match stream {
        Type::ImplTrait(stream) => stated(&stream.bounds, "Item"),
        _ => None,
    };
    Some(Streaming {
        is_in_result: fallible.is_some(),
        boxing: boxing(stream)?,
        awaited: matches!(shape, Shape::Future | Shape::Boxed).then(|| inferred(output)),
        item: item.map(inferred),
    })
}

/// The `Output` of a future's type.
fn awaited(future: &Type) -> Option<&Type> {
    if let Type::ImplTrait(future) = future {
        return stated(&future.bounds, "Output");
    }
    let segment = last_segment(future)?;
    let inner = first_type(segment)?;
    if segment.ident != "Pin" {
        // The aliases of the futures crate name the output itself.
        return Some(inner);
    }
    match first_type(last_segment(inner)?)? {
        Type::TraitObject(pointee) => stated(&pointee.bounds, "Output"),
        Type::ImplTrait(pointee) => stated(&pointee.bounds, "Output"),
        _ => None,
    }
}

/// The type that a bound states by this name, as in `Future<Output = u8>`.
fn stated<'a>(bounds: &'a Punctuated<TypeParamBound, Token![+]>, name: &str) -> Option<&'a Type> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let PathArguments::AngleBracketed(arguments) = &bound.path.segments.last()?.arguments
        else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(bound) if bound.ident == name => Some(bare(&bound.ty)),
            _ => None,
        })
    })
}

fn boxing(stream: &Type) -> Option<Boxing> {
    match stream {
        Type::ImplTrait(stream)
            if names(&stream.bounds, &["Stream", "TryStream", "FusedStream"]) =>
        {
            Some(Boxing::Bare)
        }
        Type::Path(_) => {
            let segment = last_segment(stream)?;
            let name = segment.ident.to_string();
            if name == "Box" {
                return Some(Boxing::Box);
            }
            // Any other name is taken for that of a boxed stream, as such types go by names of their own.
            (!NO_STREAMS.contains(&name.as_str())).then_some(Boxing::Pin)
        }
        _ => None,
    }
}

/// Types that are returned by mistake: a stream has another name.
const NO_STREAMS: &[&str] = &[
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32",
    "u64", "u128", "usize", "str", "String", "Vec", "Option", "Arc", "Rc", "Bytes", "Value",
    "Self",
];

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
    names(bounds, &["Future"])
}

fn names(bounds: &Punctuated<TypeParamBound, Token![+]>, traits: &[&str]) -> bool {
    bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound
            .path
            .segments
            .last()
            .is_some_and(|segment| traits.iter().any(|name| segment.ident == name)),
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

    #[track_caller]
    fn assert_streaming(signature: &str, expected: Option<(bool, Boxing)>) {
        let signature: Signature = syn::parse_str(signature).unwrap();
        let found = streaming(&signature).map(|found| (found.is_in_result, found.boxing));
        assert_eq!(found, expected);
    }

    #[test]
    fn streams_are_found_wherever_they_are_handed_out() {
        use Boxing::{Bare, Box, Pin};
        assert_streaming("fn f() -> impl Stream<Item = u8>", Some((false, Bare)));
        assert_streaming(
            "async fn f() -> impl Send + futures::Stream<Item = u8>",
            Some((false, Bare)),
        );
        assert_streaming(
            "fn f() -> Result<impl Stream<Item = u8>, E>",
            Some((true, Bare)),
        );
        assert_streaming(
            "async fn f() -> io::Result<impl Stream<Item = u8>>",
            Some((true, Bare)),
        );
        assert_streaming(
            "fn f() -> Pin<Box<dyn Stream<Item = u8> + Send>>",
            Some((false, Pin)),
        );
        assert_streaming(
            "fn f() -> Box<dyn Stream<Item = u8> + Unpin>",
            Some((false, Box)),
        );
        assert_streaming(
            "async fn f() -> ApiResult<BoxStream<'static, u8>>",
            Some((true, Pin)),
        );
        assert_streaming("fn f() -> ChatStream", Some((false, Pin)));
        assert_streaming(
            "fn f() -> impl Future<Output = Result<impl Stream<Item = u8>, E>> + Send",
            Some((true, Bare)),
        );
        assert_streaming(
            "fn f<'a>() -> Pin<Box<dyn Future<Output = Result<ChatStream, E>> + Send + 'a>>",
            Some((true, Pin)),
        );
        assert_streaming(
            "fn f() -> BoxFuture<'a, Result<BoxStream<'a, u8>, E>>",
            Some((true, Pin)),
        );
        for none in [
            "()",
            "String",
            "Result<Vec<u8>, E>",
            "&'static str",
            "impl Iterator<Item = u8>",
        ] {
            assert_streaming(&format!("fn f() -> {none}"), None);
        }
        assert_streaming("fn f()", None);
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
