//! QR codes as pictures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qrcode::{Color, EcLevel, QrCode};

/// Pixels of a module, and modules of white around the code: as the standard asks for.
const SCALE: usize = 4;
const QUIET: usize = 4;

/// A QR code of a text, as a PNG in a `data:` URL. `None` for a text that is too long, which is one of nearly three
/// kilobytes.
pub(crate) fn data_url(text: &str) -> Option<String> {
    // On a screen nothing is torn off: least correction, largest modules.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let (width, modules) = (code.width(), code.to_colors());
    let side = (width + 2 * QUIET) * SCALE;
    let margin = vec![0xff; side.div_ceil(8) * QUIET * SCALE];
    let mut pixels = margin.clone();
    for row in modules.chunks(width) {
        let row = packed(row);
        for _ in 0..SCALE {
            pixels.extend_from_slice(&row);
        }
    }
    pixels.extend_from_slice(&margin);

    let mut png = Vec::new();
    let side = u32::try_from(side).ok()?;
    let mut encoder = png::Encoder::new(&mut png, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels).ok()?;
    writer.finish().ok()?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(png)))
}

/// A row of modules as a row of pixels, eight to a byte, white set.
fn packed(row: &[Color]) -> Vec<u8> {
    let quiet = || std::iter::repeat_n(true, QUIET * SCALE);
    let modules = row.iter().flat_map(|module| std::iter::repeat_n(*module == Color::Light, SCALE));
    let pixels: Vec<bool> = quiet().chain(modules).chain(quiet()).collect();
    let byte = |eight: &[bool]| {
        (0..8).fold(0_u8, |byte, place| byte << 1 | u8::from(eight.get(place).copied().unwrap_or(true)))
    };
    pixels.chunks(8).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture's pixels, true for white, and its side.
    fn read(url: &str) -> (Vec<bool>, usize) {
        let png = STANDARD.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let side = info.width as usize;
        let bit = |x: usize, y: usize| bytes[y * info.line_size + x / 8] >> (7 - x % 8) & 1 == 1;
        let pixels = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
        (pixels.map(|(x, y)| bit(x, y)).collect(), side)
    }

    #[test]
    fn the_picture_shows_the_codes_modules_with_white_around_them() {
        for text in ["x".to_owned(), "https://app.example.com/auth/capauth/qr#".repeat(15)] {
            let (pixels, side) = read(&data_url(&text).unwrap());
            let code = QrCode::with_error_correction_level(&text, EcLevel::L).unwrap();
            assert_eq!(side, (code.width() + 8) * 4);
            for y in 0..side {
                for x in 0..side {
                    let module = |at: usize| (at / 4).checked_sub(4).filter(|at| *at < code.width());
                    let dark = match (module(x), module(y)) {
                        (Some(x), Some(y)) => code[(x, y)] == Color::Dark,
                        _ => false,
                    };
                    assert_eq!(pixels[y * side + x], !dark, "{x} {y}");
                }
            }
        }
        assert_eq!(data_url(&"x".repeat(3_000)), None);
    }
}
