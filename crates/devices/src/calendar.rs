//! Unix seconds to and from the seven clock registers of an MC146818, in the format that the guest chose.

use std::ops::RangeInclusive;

/// Register B, bit 1: hours count to 23. Otherwise 1 to 12, and bit 7 of the hour means afternoon.
pub(crate) const HOURS_24: u8 = 1 << 1;
/// Register B, bit 2: plain binary numbers. Otherwise binary-coded decimal.
pub(crate) const BINARY: u8 = 1 << 2;

const AFTERNOON: u8 = 1 << 7;
const SECONDS_A_DAY: i64 = 86_400;

/// The seconds that two digits of century and two of year can express: the years 0 to 9999.
pub(crate) const EXPRESSIBLE: RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// A moment as the clock registers show it, encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockRegisters {
    pub(crate) second: u8,
    pub(crate) minute: u8,
    pub(crate) hour: u8,
    /// 1 is Sunday.
    pub(crate) weekday: u8,
    pub(crate) day: u8,
    pub(crate) month: u8,
    pub(crate) year: u8,
    pub(crate) century: u8,
}

impl ClockRegisters {
    /// Shows `unix` seconds in the format of register B. Moments that two times two digits of a year
    /// cannot express become the nearest that they can.
    pub(crate) fn encode(unix: i64, format: u8) -> Self {
        let unix = unix.clamp(*EXPRESSIBLE.start(), *EXPRESSIBLE.end());
        let days = unix.div_euclid(SECONDS_A_DAY);
        let second = unix.rem_euclid(SECONDS_A_DAY);
        let (year, month, day) = civil_from_days(days);
        let hour = second / 3600;
        Self {
            second: encode_number(second % 60, format),
            minute: encode_number(second / 60 % 60, format),
            hour: encode_hour(hour, format),
            // 1970-01-01 was a Thursday.
            weekday: encode_number((days + 4).rem_euclid(7) + 1, format),
            day: encode_number(day, format),
            month: encode_number(month, format),
            year: encode_number(year % 100, format),
            century: encode_number(year / 100, format),
        }
    }

    /// The unix seconds that the registers show, or nothing if they show no moment. The weekday says
    /// nothing new and is not looked at.
    pub(crate) fn decode(&self, format: u8) -> Option<i64> {
        let number = |byte, valid: RangeInclusive<i64>| {
            decode_number(byte, format).filter(|value| valid.contains(value))
        };
        let second = number(self.second, 0..=59)?;
        let minute = number(self.minute, 0..=59)?;
        let hour = decode_hour(self.hour, format)?;
        let day = number(self.day, 1..=31)?;
        let month = number(self.month, 1..=12)?;
        let year = number(self.century, 0..=99)? * 100 + number(self.year, 0..=99)?;
        let days = days_from_civil(year, month, day);
        Some(days * SECONDS_A_DAY + hour * 3600 + minute * 60 + second)
    }
}

/// `value` is at most 99.
fn encode_number(value: i64, format: u8) -> u8 {
    let value = value as u8;
    if format & BINARY != 0 { value } else { (value / 10) << 4 | (value % 10) }
}

fn decode_number(byte: u8, format: u8) -> Option<i64> {
    if format & BINARY != 0 {
        return Some(i64::from(byte));
    }
    let (tens, ones) = (byte >> 4, byte & 0x0f);
    (tens <= 9 && ones <= 9).then(|| i64::from(tens * 10 + ones))
}

fn encode_hour(hour: i64, format: u8) -> u8 {
    if format & HOURS_24 != 0 {
        return encode_number(hour, format);
    }
    let half = if hour >= 12 { AFTERNOON } else { 0 };
    let hour = match hour % 12 {
        0 => 12,
        hour => hour,
    };
    encode_number(hour, format) | half
}

fn decode_hour(byte: u8, format: u8) -> Option<i64> {
    if format & HOURS_24 != 0 {
        return decode_number(byte, format).filter(|hour| *hour <= 23);
    }
    let half = if byte & AFTERNOON != 0 { 12 } else { 0 };
    let hour = decode_number(byte & !AFTERNOON, format).filter(|hour| (1..=12).contains(hour))?;
    Some(hour % 12 + half)
}

/// Days since 1970-01-01 in the Gregorian calendar. The year is taken to start in March, so that the leap
/// day is its last; 400 of those years, an era, have 146,097 days.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`]: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-02-29 23:58:07 UTC, a Thursday.
    const LEAP_DAY: i64 = 1_709_251_087;

    #[test]
    fn the_four_formats() {
        let bcd = ClockRegisters::encode(LEAP_DAY, HOURS_24);
        let expected = ClockRegisters {
            second: 0x07,
            minute: 0x58,
            hour: 0x23,
            weekday: 0x05,
            day: 0x29,
            month: 0x02,
            year: 0x24,
            century: 0x20,
        };
        assert_eq!(bcd, expected);
        assert_eq!(ClockRegisters::encode(LEAP_DAY, 0).hour, 0x91);
        let binary = ClockRegisters::encode(LEAP_DAY, BINARY | HOURS_24);
        assert_eq!((binary.hour, binary.minute, binary.year), (23, 58, 24));
        assert_eq!(ClockRegisters::encode(LEAP_DAY, BINARY).hour, 0x80 | 11);
        assert_eq!(ClockRegisters::encode(0, BINARY).hour, 12);
        assert_eq!(ClockRegisters::encode(43_200, BINARY).hour, 0x80 | 12);
    }

    #[test]
    fn every_day_of_a_thousand_years_round_trips() {
        for day in -134_774..365_243_i64 {
            for format in [0, HOURS_24, BINARY, BINARY | HOURS_24] {
                let unix = day * SECONDS_A_DAY + (day.rem_euclid(24)) * 3600 + 59;
                let registers = ClockRegisters::encode(unix, format);
                assert_eq!(registers.decode(format), Some(unix));
            }
        }
    }

    #[test]
    fn the_ends_are_the_years_0_and_9999() {
        for end in [*EXPRESSIBLE.start(), *EXPRESSIBLE.end()] {
            let registers = ClockRegisters::encode(end, HOURS_24);
            assert_eq!(registers.decode(HOURS_24), Some(end));
        }
        let last = ClockRegisters::encode(i64::MAX, HOURS_24);
        assert_eq!((last.century, last.year, last.month), (0x99, 0x99, 0x12));
        let first = ClockRegisters::encode(i64::MIN, HOURS_24);
        assert_eq!((first.century, first.year, first.day), (0, 0, 1));
    }

    #[test]
    fn nonsense_is_no_moment() {
        let good = ClockRegisters::encode(LEAP_DAY, HOURS_24);
        let refused = [
            ClockRegisters { second: 0x60, ..good },
            ClockRegisters { minute: 0x5a, ..good },
            ClockRegisters { hour: 0x24, ..good },
            ClockRegisters { day: 0, ..good },
            ClockRegisters { month: 0x13, ..good },
            ClockRegisters { year: 0xff, ..good },
            ClockRegisters { century: 0xa0, ..good },
        ];
        for registers in refused {
            assert_eq!(registers.decode(HOURS_24), None, "{registers:?}");
        }
        assert_eq!(ClockRegisters { hour: 0, ..good }.decode(0), None);
        assert_eq!(ClockRegisters { hour: 0x13, ..good }.decode(0), None);
    }
}
