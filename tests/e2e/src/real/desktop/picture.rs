//! What is on a screen, pixel by pixel.

use std::collections::HashMap;
use std::process::Command;
use std::process::Stdio;

/// A part of the screen, in pixels from the upper left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// To the right.
    pub width: u32,
    /// Down.
    pub height: u32,
}

/// Pixels, row by row: red, green, blue.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Where it was taken.
    pub area: Area,
    pixels: Vec<u8>,
}

impl Picture {
    /// Takes it with a prepared `import`.
    pub(super) fn take(import: Command, area: Area) -> Self {
        let pixels = bytes(import, area, &["-depth", "8", "rgb:-"]);
        assert_eq!(pixels.len(), 3 * (area.width * area.height) as usize, "the area is on the screen");
        Self { area, pixels }
    }

    /// How many colours it has: a page that is not drawn yet has one or two.
    #[must_use]
    pub fn colours(&self) -> usize {
        let mut seen = HashMap::new();
        for pixel in self.pixels.chunks_exact(3) {
            *seen.entry(pixel).or_insert(0_u32) += 1;
        }
        seen.len()
    }

    /// What of it is in a smaller area.
    ///
    /// # Panics
    /// Where that is not within its own.
    #[must_use]
    pub fn part(&self, area: Area) -> Self {
        let row = |y: u32| {
            let start = 3 * ((y - self.area.y) * self.area.width + area.x - self.area.x) as usize;
            &self.pixels[start..start + 3 * area.width as usize]
        };
        Self { area, pixels: (area.y..area.y + area.height).flat_map(row).copied().collect() }
    }

    /// How many pixels are of another colour in a picture of the same area.
    ///
    /// # Panics
    /// Where they are of different areas.
    #[must_use]
    pub fn differs(&self, other: &Self) -> usize {
        assert_eq!(self.area, other.area, "pictures of one area");
        let pairs = self.pixels.chunks_exact(3).zip(other.pixels.chunks_exact(3));
        pairs.filter(|(one, other)| one != other).count()
    }

    /// The smallest area of the screen in which it differs from a picture of the same area.
    #[must_use]
    pub fn changed(&self, other: &Self) -> Option<Area> {
        let width = self.area.width as usize;
        let pairs = self.pixels.chunks_exact(3).zip(other.pixels.chunks_exact(3)).enumerate();
        let places: Vec<_> =
            pairs.filter(|(_, (one, other))| one != other).map(|(at, _)| (at % width, at / width)).collect();
        let columns = || places.iter().map(|(column, _)| *column);
        let (left, right) = (columns().min()?, columns().max()?);
        let (top, bottom) = (places.first()?.1, places.last()?.1);
        let number = |number: usize| u32::try_from(number).expect("a screen is small");
        Some(Area {
            x: self.area.x + number(left),
            y: self.area.y + number(top),
            width: number(right - left) + 1,
            height: number(bottom - top) + 1,
        })
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} colours at {:?}", self.colours(), self.area)
    }
}

/// The same as a PNG of few colours.
pub(super) fn png(import: Command, area: Area) -> Vec<u8> {
    bytes(import, area, &["+dither", "-colors", "128", "-strip", "png8:-"])
}

fn bytes(mut import: Command, area: Area, rest: &[&str]) -> Vec<u8> {
    let Area { x, y, width, height } = area;
    import.args(["-silent", "-window", "root", "-crop", &format!("{width}x{height}+{x}+{y}"), "+repage"]);
    import.args(rest).stdin(Stdio::null());
    let output = import.output().unwrap_or_else(|error| panic!("import cannot be started: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !output.stdout.is_empty(), "no picture of the screen: {said}");
    output.stdout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_found_and_counted() {
        let area = Area { x: 100, y: 10, width: 4, height: 3 };
        let before = Picture { area, pixels: vec![0; 36] };
        let mut after = before.clone();
        for pixel in [5, 10] {
            after.pixels[3 * pixel] = 1;
        }
        assert_eq!((before.differs(&after), before.colours(), after.colours()), (2, 1, 2));
        assert_eq!(before.changed(&after), Some(Area { x: 101, y: 11, width: 2, height: 2 }));
        assert_eq!(before.changed(&before), None);
        let right = Area { x: 102, width: 2, ..area };
        assert_eq!(before.part(right).differs(&after.part(right)), 1);
    }
}
