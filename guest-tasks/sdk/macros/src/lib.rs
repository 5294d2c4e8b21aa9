//! The `tasks` attribute of `wasmpool-guest`, which documents it.
//!
//! Knows Rust syntax and the names in `wasmpool_guest::__private`. Does not know WIT or
//! MessagePack.

use proc_macro::TokenStream;
use proc_macro2::{Ident, TokenStream as Tokens};
use quote::{ToTokens as _, format_ident, quote};
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
    let has_children = match options.to_string().as_str() {
        "" => false,
        "children" => true,
        _ => {
            let message = "the only option of `tasks` is `children`";
            return Err(Error::new(options.span(), message));
        }
    };
    let Some((_, items)) = &module.content else {
        return Err(Error::new(
            module.span(),
            "`tasks` needs an inline module: write `mod tasks { ... }` with a body",
        ));
    };
    let tasks = || {
        items.iter().filter_map(|item| match item {
            Item::Fn(function) if matches!(function.vis, Visibility::Public(_)) => Some(function),
            _ => None,
        })
    };
    let entries = tasks().map(entry).collect::<Result<Vec<_>>>()?;
    let starters = tasks()
        .filter(|_| has_children)
        .map(starter)
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

            #(#starters)*

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

/// The table entry of one task.
fn entry(function: &ItemFn) -> Result<Tokens> {
    let entry = entry_value(function)?;
    // A task that is disabled by `cfg` has no entry.
    let conditions = conditions(function);
    Ok(quote!(#(#conditions)* #entry))
}

fn conditions(function: &ItemFn) -> impl Iterator<Item = &Attribute> {
    let attributes = function.attrs.iter();
    attributes.filter(|attribute| attribute.path().is_ident("cfg"))
}

/// The description of one task: its name, parameters and doc, and the function that calls it.
fn entry_value(function: &ItemFn) -> Result<Tokens> {
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
    let (parameters, locals) = parameters(function)?;
    let name = &signature.ident;
    let name_text = unraw(name);
    let doc = doc(&function.attrs);
    let parameter_names = parameters.iter().map(|(name, _)| name);
    let reads = parameters
        .iter()
        .zip(&locals)
        .map(|((name, ty), local)| quote!(let #local: #ty = arguments.next(#name)?;));
    let encode = if returns_result(&signature.output) {
        quote!(::wasmpool_guest::__private::encode_fallible)
    } else {
        quote!(::wasmpool_guest::__private::encode)
    };
    Ok(quote! {
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

/// The module with which the other tasks start this one.
fn starter(function: &ItemFn) -> Result<Tokens> {
    let signature = &function.sig;
    let (parameters, locals) = parameters(function)?;
    let name = &signature.ident;
    let n_parameters = u32::try_from(parameters.len()).expect("a function has few parameters");
    let types = parameters.iter().map(|(_, ty)| ty).collect::<Vec<_>>();
    let output = match &signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) if returns_result(&signature.output) => {
            quote!(<#ty as ::wasmpool_guest::__private::Fallible>::Value)
        }
        ReturnType::Type(_, ty) => quote!(#ty),
    };
    let conditions = conditions(function);
    let entry = entry_value(function)?;
    // In full, since the types of the guest's author may have the same names.
    let children = quote!(::wasmpool_guest::children);
    let arguments = quote! {
        #children::generated::Arguments::new(#n_parameters)#(.with(&#locals))*
    };
    // A borrowed argument would need a lifetime of its own here.
    let is_borrowed = |ty: &&&Type| ty.to_token_stream().to_string().contains(['&', '\'']);
    let has_borrowed = types.iter().any(is_borrowed);
    let map = (!has_borrowed).then(|| {
        let (item, pattern) = match (&types[..], &locals[..]) {
            ([ty], [local]) => (quote!(#ty), quote!(#local)),
            _ => (quote!((#(#types),*)), quote!((#(#locals),*))),
        };
        quote! {
            /// Starts the task for each input. See `wasmpool_guest::children::Map`.
            pub fn map(
                inputs: impl IntoIterator<Item = #item>,
            ) -> #children::Map<impl Iterator<Item = #children::Encoded>, #output> {
                #children::generated::map(&ENTRY, inputs.into_iter().map(|#pattern| #arguments))
            }
        }
    });
    Ok(quote! {
        #(#conditions)*
        #[allow(dead_code, unused_imports, clippy::ptr_arg)]
        pub mod #name {
            use super::*;

            static ENTRY: ::wasmpool_guest::__private::TaskEntry = #entry;

            /// Starts the task as a child. Does not block.
            pub fn submit(
                #(#locals: #types),*
            ) -> ::core::result::Result<#children::Child<#output>, #children::StartError> {
                #children::generated::submit(&ENTRY, #arguments, &#children::Options::new())
            }

            /// Starts the task as a child, with these options. Does not block.
            pub fn submit_with(
                options: &#children::Options,
                #(#locals: #types),*
            ) -> ::core::result::Result<#children::Child<#output>, #children::StartError> {
                #children::generated::submit(&ENTRY, #arguments, options)
            }

            #map
        }
    })
}

/// The name and the type of a parameter.
type Parameter<'a> = (String, &'a Type);

/// The parameters of a task, and the names of locals for them. Those are generated, so that none
/// shadows the function or a type.
fn parameters(function: &ItemFn) -> Result<(Vec<Parameter<'_>>, Vec<Ident>)> {
    let parameters = function.sig.inputs.iter().map(parameter);
    let parameters = parameters.collect::<Result<Vec<_>>>()?;
    let locals = (0..parameters.len()).map(|index| format_ident!("argument_{index}"));
    let locals = locals.collect();
    Ok((parameters, locals))
}

fn parameter(input: &FnArg) -> Result<Parameter<'_>> {
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
