//! The `tasks` attribute of `wasmpool-guest`, which documents it.
//!
//! Knows Rust syntax and the names in `wasmpool_guest::__private`. Does not know WIT or
//! MessagePack.

use proc_macro::TokenStream;
use proc_macro2::{Ident, TokenStream as Tokens};
use quote::{format_ident, quote};
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, Item, ItemFn, ItemMod, Lit, Meta, Pat, Result,
    ReturnType, Type, Visibility, parse_macro_input,
};

/// See `wasmpool_guest::tasks`.
#[proc_macro_attribute]
pub fn tasks(options: TokenStream, item: TokenStream) -> TokenStream {
    let module = parse_macro_input!(item as ItemMod);
    let options = Tokens::from(options);
    expand(&options, &module)
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

fn expand(options: &Tokens, module: &ItemMod) -> Result<Tokens> {
    if !options.is_empty() {
        return Err(Error::new(options.span(), "`tasks` takes no options"));
    }
    let Some((_, items)) = &module.content else {
        return Err(Error::new(
            module.span(),
            "`tasks` needs an inline module: write `mod tasks { ... }` with a body",
        ));
    };
    let entries = items
        .iter()
        .filter_map(|item| match item {
            Item::Fn(function) if matches!(function.vis, Visibility::Public(_)) => {
                Some(entry(function))
            }
            _ => None,
        })
        .collect::<Result<Vec<_>>>()?;
    if entries.is_empty() {
        return Err(Error::new(
            module.span(),
            "this module has no task: every `pub fn` becomes one",
        ));
    }
    let ItemMod {
        attrs,
        vis,
        unsafety,
        mod_token,
        ident,
        ..
    } = module;
    // The table is inside the module, where the names of the parameters' types are in scope.
    Ok(quote! {
        // Tasks are called from outside of this crate; compiled for the host, for example for a
        // test, most have no caller.
        #[allow(unreachable_pub)]
        #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code))]
        #(#attrs)* #vis #unsafety #mod_token #ident {
            #(#items)*

            #[cfg(target_arch = "wasm32")]
            const _: () = {
                struct WasmpoolTasks;
                impl ::wasmpool_guest::__private::TaskSet for WasmpoolTasks {
                    const TASKS: &'static [::wasmpool_guest::__private::TaskEntry] =
                        &[#(#entries),*];
                }
                ::wasmpool_guest::__private::export_world!(
                    WasmpoolTasks with_types_in ::wasmpool_guest::__private::bindings
                );
            };
        }
    })
}

/// The table entry of one task: its name, parameters and doc, and the function that calls it.
fn entry(function: &ItemFn) -> Result<Tokens> {
    let signature = &function.sig;
    if let Some(asyncness) = &signature.asyncness {
        return Err(Error::new(
            asyncness.span(),
            "a task cannot be `async`: write an ordinary function, which may block",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new(
            signature.generics.span(),
            "a task cannot have generic parameters: use concrete types",
        ));
    }
    let parameters = signature
        .inputs
        .iter()
        .map(parameter)
        .collect::<Result<Vec<_>>>()?;
    let name = &signature.ident;
    let name_text = unraw(name);
    let doc = doc(&function.attrs);
    let parameter_names = parameters.iter().map(|(name, _)| name);
    // The locals have generated names, so that none shadows the function or a type.
    let locals = (0..parameters.len())
        .map(|index| format_ident!("argument_{index}"))
        .collect::<Vec<_>>();
    let reads = parameters
        .iter()
        .zip(&locals)
        .map(|((name, ty), local)| quote!(let #local: #ty = arguments.next(#name)?;));
    let encode = if returns_result(&signature.output) {
        quote!(::wasmpool_guest::__private::encode_fallible)
    } else {
        quote!(::wasmpool_guest::__private::encode)
    };
    // A task that is disabled by `cfg` has no entry.
    let conditions = function
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"));
    Ok(quote! {
        #(#conditions)*
        ::wasmpool_guest::__private::TaskEntry {
            name: #name_text,
            params: &[#(#parameter_names),*],
            doc: #doc,
            call: |arguments| {
                #(#reads)*
                #encode(#name(#(#locals),*))
            },
        }
    })
}

/// A parameter's name and type.
fn parameter(input: &FnArg) -> Result<(String, &Type)> {
    match input {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(pattern) => Ok((unraw(&pattern.ident), &typed.ty)),
            pattern => Err(Error::new(
                pattern.span(),
                "a task's parameter needs a plain name, which callers see",
            )),
        },
        FnArg::Receiver(receiver) => Err(Error::new(
            receiver.span(),
            "a task is a free function and cannot take `self`",
        )),
    }
}

/// Whether the return type is written as a `Result`, with or without a path before it.
///
/// Only the text is checked, since a macro sees no types: an alias without the word counts as a
/// plain value.
fn returns_result(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else {
        return false;
    };
    matches!(&**ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Result"))
}

/// The doc comment as Markdown, without the space after `///`.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(meta) = &attribute.meta else {
            return None;
        };
        let Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) = &meta.value
        else {
            return None;
        };
        let text = text.value();
        meta.path
            .is_ident("doc")
            .then(|| text.strip_prefix(' ').unwrap_or(&text).to_owned())
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// The name without the `r#` that a keyword needs in Rust.
fn unraw(name: &Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}
