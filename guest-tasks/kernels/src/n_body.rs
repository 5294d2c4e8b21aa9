//! The sun and its four large planets: floating-point numbers, square roots and divisions.
//!
//! After the program of that name in the Computer Language Benchmarks Game, with its numbers.

use std::array;
use std::f64::consts::PI;

pub(crate) fn run(size: u64) -> u64 {
    energy_after(size).to_bits()
}

const SOLAR_MASS: f64 = 4.0 * PI * PI;
const YEAR: f64 = 365.24;
const STEP: f64 = 0.01;

#[derive(Clone, Copy)]
struct Body {
    position: [f64; 3],
    velocity: [f64; 3],
    mass: f64,
}

/// Sun, Jupiter, Saturn, Uranus, Neptune; velocities in distances a day, masses in suns.
const BODIES: [Body; 5] = [
    Body {
        position: [0.0; 3],
        velocity: [0.0; 3],
        mass: 1.0,
    },
    Body {
        position: [4.841431442464721, -1.1603200440274284, -0.10362204447112311],
        velocity: [
            0.001660076642744037,
            0.007699011184197404,
            -6.90460016972063e-05,
        ],
        mass: 0.0009547919384243266,
    },
    Body {
        position: [8.34336671824458, 4.124798564124305, -0.4035234171143214],
        velocity: [
            -0.002767425107264112,
            0.004998528012349172,
            2.3041729757376393e-05,
        ],
        mass: 0.0002858859806661308,
    },
    Body {
        position: [
            12.894369562139131,
            -15.111151401698631,
            -0.22330757889265573,
        ],
        velocity: [
            0.002964601375647616,
            0.0023784717395948095,
            -2.9658956854023756e-05,
        ],
        mass: 4.366244043351563e-05,
    },
    Body {
        position: [15.379697114850917, -25.919314609987964, 0.17925877295037118],
        velocity: [
            0.0026806777249038932,
            0.001628241700382423,
            -9.515922545197159e-05,
        ],
        mass: 5.1513890204661145e-05,
    },
];

fn energy_after(steps: u64) -> f64 {
    let mut bodies = BODIES;
    for body in &mut bodies {
        body.velocity = body.velocity.map(|velocity| velocity * YEAR);
        body.mass *= SOLAR_MASS;
    }
    // So that the total momentum is zero.
    for axis in 0..3 {
        let momentum = bodies.iter().map(|body| body.velocity[axis] * body.mass);
        bodies[0].velocity[axis] = -momentum.sum::<f64>() / SOLAR_MASS;
    }
    for _ in 0..steps {
        advance(&mut bodies);
    }
    energy(&bodies)
}

fn advance(bodies: &mut [Body; 5]) {
    for first in 0..5 {
        let (head, others) = bodies.split_at_mut(first + 1);
        let body = &mut head[first];
        for other in others {
            let apart: [f64; 3] = array::from_fn(|axis| body.position[axis] - other.position[axis]);
            let square = apart.iter().map(|d| d * d).sum::<f64>();
            let pull = STEP / (square * square.sqrt());
            body.velocity =
                array::from_fn(|axis| body.velocity[axis] - apart[axis] * other.mass * pull);
            other.velocity =
                array::from_fn(|axis| other.velocity[axis] + apart[axis] * body.mass * pull);
        }
    }
    for body in bodies {
        body.position = array::from_fn(|axis| body.position[axis] + STEP * body.velocity[axis]);
    }
}

fn energy(bodies: &[Body; 5]) -> f64 {
    let mut energy = 0.0;
    for (index, body) in bodies.iter().enumerate() {
        let square = body.velocity.iter().map(|v| v * v).sum::<f64>();
        energy += 0.5 * body.mass * square;
        for other in &bodies[index + 1..] {
            let apart = body.position.iter().zip(&other.position);
            let square = apart.map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
            energy -= body.mass * other.mass / square.sqrt();
        }
    }
    energy
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To nine digits, as the game prints it.
    #[test]
    fn the_energy_is_the_published_one() {
        let energy = |steps| format!("{:.9}", energy_after(steps));
        assert_eq!(energy(0), "-0.169075164");
        assert_eq!(energy(1_000), "-0.169087605");
        assert_eq!(energy(500_000), "-0.169096567");
    }
}
