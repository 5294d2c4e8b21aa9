//! Areas of shapes: a component as others write them, with `wit-bindgen` alone, whose functions
//! take and give records, variants, lists and options.

#![cfg(target_arch = "wasm32")]
// What `wit-bindgen` writes.
#![allow(unsafe_code, missing_docs, unreachable_pub)]

use exports::acme::shapes::area::{Fault, Guest, Point, Scene, Shape, Summary};

wit_bindgen::generate!({ world: "shapes" });

struct Component;

export!(Component);

impl Guest for Component {
    fn area(shape: Shape) -> Result<f64, Fault> {
        area(&shape)
    }

    fn summarize(scene: Scene, unit: Option<f64>) -> Result<Summary, Fault> {
        let unit = unit.unwrap_or(1.0);
        let mut total = 0.0;
        let mut largest = None;
        for shape in scene.shapes {
            let area = area(&shape)? / (unit * unit);
            total += area;
            if largest.as_ref().is_none_or(|(_, other)| area > *other) {
                largest = Some((shape, area));
            }
        }
        Ok(Summary {
            title: scene.name.unwrap_or_else(|| "nameless".to_owned()),
            total,
            largest: largest.map(|(shape, _)| shape),
        })
    }
}

fn area(shape: &Shape) -> Result<f64, Fault> {
    match shape {
        Shape::Circle(side) | Shape::Rect((side, _)) | Shape::Rect((_, side)) if *side < 0.0 => {
            Err(Fault::Negative(*side))
        }
        Shape::Circle(radius) => Ok(std::f64::consts::PI * radius * radius),
        Shape::Rect((width, height)) => Ok(width * height),
        Shape::Polygon(corners) if corners.len() < 3 => {
            Err(Fault::TooFewCorners(corners.len() as u32))
        }
        // The shoelace formula.
        Shape::Polygon(corners) => {
            let next = corners.iter().cycle().skip(1);
            let doubled = |(a, b): (&Point, &Point)| a.x * b.y - b.x * a.y;
            Ok(corners.iter().zip(next).map(doubled).sum::<f64>().abs() / 2.0)
        }
    }
}
