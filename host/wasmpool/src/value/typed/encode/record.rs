//! Records, whose fields come in any order and are written in the order of their type.

use super::Encoder;
use crate::value::Type;
use crate::value::typed::names;
use crate::value::typed::path::{ValueFault, shortened};
use crate::value::typed::wire::Piece;

/// A record whose fields come in any order and are written in the order of its type.
pub(crate) struct Record<'t> {
    ty: &'t Type,
    fields: &'t [(String, Type)],
    /// The position of the first field in the bytes.
    first: usize,
    /// Where its fields begin in [`Encoder::fields`].
    base: usize,
    in_order: bool,
    current: usize,
}

impl<'t> Record<'t> {
    pub(crate) fn begin(encoder: &mut Encoder, ty: &'t Type, fields: &'t [(String, Type)]) -> Self {
        encoder.writer.array(fields.len());
        Self {
            ty,
            fields,
            first: encoder.writer.position(),
            base: encoder.fields.len(),
            in_order: true,
            current: 0,
        }
    }

    /// Makes `name` the field that is written next.
    pub(crate) fn field(&mut self, encoder: &mut Encoder, name: &str) -> Result<(), ValueFault> {
        let next = encoder.fields.len() - self.base;
        let is_next = |(known, _): &(String, Type)| names::is_same_spelled(known, name);
        let index = match self.fields.get(next) {
            Some(field) if self.in_order && is_next(field) => next,
            _ => {
                let names = self.fields.iter().map(|(name, _)| name.as_str());
                let index = names::find(names.clone(), name)
                    .ok_or_else(|| ValueFault::new(names::unknown("field", name, names)))?;
                let before = &encoder.fields[self.base..];
                if before.iter().any(|(before, _)| *before == index) {
                    let name = &self.fields[index].0;
                    return Err(ValueFault::new(format!(
                        "the field `{name}` is given twice"
                    )));
                }
                self.in_order &= index == next;
                index
            }
        };
        encoder.fields.push((index, encoder.writer.position()));
        self.current = index;
        Ok(())
    }

    /// The field that is written next.
    pub(crate) fn current(&self) -> (&'t str, &'t Type) {
        let (name, ty) = &self.fields[self.current];
        (name, ty)
    }

    pub(crate) fn end(self, encoder: &mut Encoder) -> Result<(), ValueFault> {
        let count = encoder.fields.len() - self.base;
        if self.in_order && count == self.fields.len() {
            encoder.fields.truncate(self.base);
            return Ok(());
        }
        let mut pieces = vec![None; self.fields.len()];
        let mut end = encoder.writer.position();
        for (index, start) in encoder.fields.drain(self.base..).rev() {
            pieces[index] = Some(Piece { start, end });
            end = start;
        }
        for ((name, ty), piece) in self.fields.iter().zip(&pieces) {
            if piece.is_none() && !matches!(ty, Type::Option(_)) {
                let ty = shortened(self.ty);
                return Err(ValueFault::new(format!("missing field `{name}` of {ty}")));
            }
        }
        encoder.writer.reorder(self.first, pieces.into_iter());
        Ok(())
    }
}
