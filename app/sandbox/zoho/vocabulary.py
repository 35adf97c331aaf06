"""Words the made-up company is built of. Brands, firms and people are invented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["BRANDS", "CITIES", "FIRMS", "FIRST_NAMES", "KINDS", "LAST_NAMES", "SERVICES", "STREETS", "TERMS", "Kind"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of goods; prices are whole IQD."""

    code: str
    english: str
    arabic: str
    unit: str
    lowest: int
    highest: int
    variants: tuple[str, ...]


KINDS: Final = (
    Kind("HDM", "HDMI Cable", "كيبل HDMI", "pcs", 4_000, 35_000, ("1.5m", "3m", "5m", "10m 4K")),
    Kind("USC", "USB-C Charger", "شاحن USB-C", "pcs", 9_000, 45_000, ("20W", "33W", "65W")),
    Kind("PWB", "Power Bank", "باور بانك", "pcs", 18_000, 75_000, ("10000mAh", "20000mAh", "30000mAh")),
    Kind("LED", "LED Bulb", "لمبة ليد", "pcs", 1_000, 9_000, ("9W", "12W", "18W", "30W")),
    Kind("EXT", "Extension Cord", "سلك تمديد كهربائي", "pcs", 7_500, 40_000, ("3m 4-way", "5m 6-way")),
    Kind("RTR", "Wi-Fi Router", "راوتر واي فاي", "pcs", 35_000, 220_000, ("AC1200", "AX1800", "AX3000")),
    Kind("MOU", "Wireless Mouse", "ماوس لاسلكي", "pcs", 8_000, 45_000, ("black", "white", "silent")),
    Kind("KBD", "Keyboard Arabic/English", "لوحة مفاتيح عربي/انكليزي", "pcs", 12_000, 90_000, ("wired", "wireless")),
    Kind("HDS", "Bluetooth Headset", "سماعة رأس بلوتوث", "pcs", 20_000, 150_000, ("on-ear", "over-ear", "in-ear")),
    Kind("SPK", "Portable Speaker", "سبيكر محمول", "pcs", 25_000, 180_000, ("5W", "10W", "20W")),
    Kind("CAM", "IP Camera", "كاميرا مراقبة", "pcs", 38_000, 160_000, ("2MP", "4MP", "8MP dome")),
    Kind("KTL", "Electric Kettle", "غلاية ماء كهربائية", "pcs", 18_000, 60_000, ("1.7L", "2L")),
    Kind("FRY", "Air Fryer", "قلاية هوائية", "pcs", 75_000, 240_000, ("4L", "6.5L", "8L")),
    Kind("BLN", "Blender", "خلاط", "pcs", 30_000, 120_000, ("1.5L", "2L glass")),
    Kind("IRN", "Steam Iron", "مكواة بخارية", "pcs", 25_000, 95_000, ("2000W", "2600W")),
    Kind("VAC", "Vacuum Cleaner", "مكنسة كهربائية", "pcs", 70_000, 320_000, ("1600W", "2200W", "cordless")),
    Kind("FAN", "Stand Fan", "مروحة عمودية", "pcs", 35_000, 110_000, ('16"', '18"', "rechargeable")),
    Kind("HTR", "Oil Heater", "مدفأة زيت", "pcs", 65_000, 190_000, ("9 fins", "11 fins")),
    Kind("DSP", "Water Dispenser", "براد ماء", "pcs", 140_000, 420_000, ("top load", "bottom load")),
    Kind("DRY", "Hair Dryer", "سشوار", "pcs", 18_000, 85_000, ("1800W", "2200W")),
    Kind("LMP", "Desk Lamp", "مصباح مكتب", "pcs", 12_000, 55_000, ("clip", "stand")),
    Kind("BAT", "AA Batteries", "بطاريات AA", "box", 1_500, 12_000, ("4 pack", "12 pack", "40 pack")),
    Kind("SDC", "Memory Card", "بطاقة ذاكرة", "pcs", 9_000, 85_000, ("32GB", "64GB", "128GB", "256GB")),
    Kind("SSD", "SSD Drive", "هارد SSD", "pcs", 38_000, 310_000, ("256GB", "512GB", "1TB NVMe")),
    Kind("FLS", "Flash Drive", "فلاش USB", "pcs", 6_000, 40_000, ("16GB", "32GB", "64GB")),
    Kind("CAS", "Phone Case", "كفر موبايل", "pcs", 2_500, 18_000, ("clear", "matte", "shockproof")),
    Kind("GLS", "Screen Protector", "واقي شاشة", "pcs", 1_000, 8_000, ("9H", "privacy")),
    Kind("TRI", "Tripod", "حامل ثلاثي", "pcs", 10_000, 65_000, ("1.2m", "1.7m")),
    Kind("UPS", "UPS", "مجهز قدرة UPS", "pcs", 90_000, 480_000, ("650VA", "1200VA", "2000VA")),
    Kind("STB", "Voltage Stabiliser", "منظم فولتية", "pcs", 55_000, 350_000, ("3kVA", "5kVA", "10kVA")),
    Kind("TVM", "TV Wall Mount", "حامل تلفاز جداري", "pcs", 8_000, 48_000, ('32-55"', '55-85"')),
    Kind("SCR", "Screwdriver Set", "طقم مفكات", "set", 6_000, 45_000, ("12 pcs", "32 pcs", "115 pcs")),
    Kind("TAP", "Insulating Tape", "شريط عازل", "roll", 500, 2_500, ("10m", "20m")),
    Kind("WIR", "Copper Wire 2.5mm", "سلك نحاس 2.5 ملم", "m", 600, 1_900, ("red", "black", "yellow")),
)

SERVICES: Final = (
    ("Shipping fee", "أجور شحن"),
    ("Settlement", "تسوية"),
    ("Currency transfer", "تحويل عملة"),
    ("On-site installation", "نصب وتركيب"),
    ("Extended warranty", "ضمان إضافي"),
)

BRANDS: Final = (
    ("Rafid", "رافد"),
    ("Nourex", "نوركس"),
    ("Zenita", "زينيتا"),
    ("Kaveo", "كافيو"),
    ("Dijla", "دجلة"),
    ("Orvanta", "أورفانتا"),
    ("Tigra", "تيكرا"),
    ("Sumar", "سومر"),
    ("Voltana", "فولتانا"),
    ("Babylis & Sons", "بابل وأولاده"),
)

FIRMS: Final = (
    ("Al-Rafidain", "الرافدين"),
    ("Nakheel", "النخيل"),
    ("Warka", "الوركاء"),
    ("Shatt Al-Arab", "شط العرب"),
    ("Noor Al-Sabah", "نور الصباح"),
    ("Zagros", "زاكروس"),
    ("Bahr Al-Najaf", "بحر النجف"),
    ("Al-Mansour", "المنصور"),
    ("Qasr Al-Ward", "قصر الورد"),
    ("Tech Bazaar", "سوق التقنية"),
    ("Green Palm", "النخلة الخضراء"),
    ("Sham & Iraq", "الشام والعراق"),
)

FIRST_NAMES: Final = (
    ("Ahmed", "أحمد"),
    ("Zainab", "زينب"),
    ("Mustafa", "مصطفى"),
    ("Huda", "هدى"),
    ("Karrar", "كرار"),
    ("Shilan", "شيلان"),
    ("Omar", "عمر"),
    ("Rania", "رانيا"),
    ("Yousif", "يوسف"),
    ("Maryam", "مريم"),
)

LAST_NAMES: Final = (
    ("Al-Jubouri", "الجبوري"),
    ("Hassan", "حسن"),
    ("Al-Tamimi", "التميمي"),
    ("Kareem", "كريم"),
    ("Al-Saadi", "الساعدي"),
    ("Barzan", "برزان"),
    ("Al-Obaidi", "العبيدي"),
    ("Mahmoud", "محمود"),
)

CITIES: Final = (
    ("Baghdad", "بغداد", "10001"),
    ("Basra", "البصرة", "61001"),
    ("Erbil", "أربيل", "44001"),
    ("Mosul", "الموصل", "41001"),
    ("Najaf", "النجف", "54001"),
    ("Karbala", "كربلاء", "56001"),
    ("Sulaymaniyah", "السليمانية", "46001"),
    ("Kirkuk", "كركوك", "36001"),
)

STREETS: Final = (
    ("Al-Sinaa St.", "شارع الصناعة"),
    ("Palestine St.", "شارع فلسطين"),
    ("Karrada Inner", "الكرادة داخل"),
    ("60th St.", "شارع الستين"),
    ("Al-Jumhuriya St.", "شارع الجمهورية"),
)

TERMS: Final = (
    (0, "Due on Receipt"),
    (7, "Net 7"),
    (15, "Net 15"),
    (30, "Net 30"),
    (60, "Net 60"),
    (-2, "Due end of the month"),
)
