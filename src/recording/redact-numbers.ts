/**
 * What this file gives in the place of a number, digits only: ranges that regulators keep free for fiction (North
 * America, United Kingdom, Germany), some behind the `00` that is dialled before a country. `N` is 2 to 9, `d` any digit.
 */
const GIVEN = [
  '1Ndd55501dd',
  'Ndd55501dd',
  '155501dd',
  '55501dd',
  '447700900ddd',
  '07700900ddd',
  '491522881738d',
] as const;

/** Fewer digits are an extension or a service, which belongs to nobody in particular. */
const FEWEST = 7;
const MOST = 15;
/** Two spellings of one number, with and without the country, end alike. */
const TAIL = 7;
const FIRST_AREA = 202;
const PER_AREA = 100;
const AREAS = 700;

/** With a plus sign, which an address may spell, it is a number whatever stands around it. */
const WITH_PLUS = /(?<=\+|%2[Bb])\d(?:(?:[\s().-]|%20){0,2}\d){6,14}(?!\d)/g;
const AMERICAN = /(?<![\w.-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])/g;
const ADDRESS = /(?<=\b(?:sips?|tel):\+?)\d{3,15}(?!\d)/gi;
/** Where people talk, any long number may be one; but a date is none, nor are keys that were pressed. */
const SPOKEN =
  /(?<![\w.+-]|\d[ :]|pressed the keys )(?!\d{4}-\d\d-\d\d)\d(?:[\s.()/\u2010-\u2015-]{0,2}\d){6,14}(?![\w])/g;
/** Digit by digit, as some listeners write it down. */
const DIGITS = /(?<![\w.+-])\d(?:[\s,.\u2010-\u2015-]{1,2}\d(?!\d)){6,14}(?!\w)/g;
/** Names of fields that say who calls whom, without capitals and signs. */
const PARTY =
  /^(?:from|to|caller|called|callerid|callednumber|callingnumber|number|phone|phonenumber|msisdn|ani|dnis|forwardedfrom|dialblegfrom|dialblegto|target|calleridnumber|callernumber|fromnumber|tonumber|diversion|transferto)$/;

/** Whether a field of this name holds the number of somebody. */
export function isParty(name: string): boolean {
  return PARTY.test(name.toLowerCase().replace(/[^a-z0-9]/g, ''));
}

/**
 * Gives every telephone number of a call a fictitious one of the same length, written in the same way, and the same one
 * wherever and however it stands. Every text keeps its length.
 */
export class FictitiousNumbers {
  /** By the last digits: which of the fictitious numbers it has become. */
  readonly #places = new Map<string, number>();
  /** Numbers that are known as such, wherever their digits stand. */
  readonly #known = new Set<string>();
  #anyKnown: RegExp | undefined;

  /** What stands in a field that says who calls: a number however it is written, or an address. */
  party(text: string): string {
    if (/^(?:\+|%2[Bb])?[\d\s().-]+$/.test(text)) return this.#whole(text);
    return this.written(text);
  }

  /** In the messages of machines, where other things are long numbers, too: what is marked as a number, or known as one. */
  written(text: string): string {
    if (!/\d{3}/.test(text)) return text;
    const marked = text
      .replace(WITH_PLUS, (found) => this.#learn(found))
      .replace(ADDRESS, (found) => this.#learn(found))
      .replace(AMERICAN, (found) => this.#learn(found));
    return this.#replaceKnown(marked);
  }

  /** In what people say, and what functions are given and return. */
  spoken(text: string): string {
    if (!/\d(?:\D{0,2}\d){6}/.test(text)) return this.written(text);
    const learn = (found: string): string => this.#learn(found);
    return this.written(text).replace(SPOKEN, learn).replace(DIGITS, learn);
  }

  /** A number that is no text: one that somebody is called by, or that is known. */
  value(value: number, name: string): number {
    const digits = String(value);
    if (!Number.isSafeInteger(value) || digits.length < FEWEST || digits.length > MOST) return value;
    return isParty(name) || this.#known.has(digits) ? Number(this.#fictitious(digits)) : value;
  }

  #whole(text: string): string {
    const sign = /^%2[Bb]/.exec(text)?.[0] ?? '';
    return sign + this.#learn(text.slice(sign.length));
  }

  /** Remembers the number and gives its place to another, digit by digit. */
  #learn(text: string): string {
    const digits = digitsOf(text);
    if (digits.length < FEWEST) return text.replace(/\d/g, '5');
    if (digits.length > MOST) return text;
    if (!isGiven(digits)) this.#remember(digits);
    return spell(text, this.#fictitious(digits));
  }

  #remember(digits: string): void {
    const national = digits.length === 11 && digits.startsWith('1') ? digits.slice(1) : undefined;
    for (const spelling of [digits, national]) {
      if (spelling === undefined || this.#known.has(spelling)) continue;
      this.#known.add(spelling);
      this.#anyKnown = undefined;
    }
  }

  #replaceKnown(text: string): string {
    if (this.#known.size === 0 || !/\d{7}/.test(text)) return text;
    if (this.#anyKnown === undefined) {
      const longest = [...this.#known].sort((a, b) => b.length - a.length);
      this.#anyKnown = new RegExp(`(?<!\\d)(?:${longest.join('|')})(?!\\d)`, 'g');
    }
    return text.replace(this.#anyKnown, (digits) => this.#fictitious(digits));
  }

  /** As many digits. */
  #fictitious(digits: string): string {
    if (isGiven(digits)) return digits;
    const tail = digits.slice(-TAIL);
    const place = this.#places.get(tail) ?? this.#places.size;
    this.#places.set(tail, place);
    const last = String(place % PER_AREA).padStart(2, '0');
    const american = `${FIRST_AREA + (Math.floor(place / PER_AREA) % AREAS)}55501${last}`;
    const british = `7700900${String(place % 1000).padStart(3, '0')}`;
    switch (digits.length) {
      case 7:
      case 8:
        return `${digits.length === 8 ? '1' : ''}55501${last}`;
      case 9:
        return `0055501${last}`;
      case 10:
        return american;
      case 11:
        return digits.startsWith('0') ? `0${british}` : `1${american}`;
      case 12:
        return `44${british}`;
      case 13:
        return `001${american}`;
      case 14:
        return `0044${british}`;
      default:
        return `00491522881738${6 + (place % 4)}`;
    }
  }
}

/** Whether these digits are, or begin, a number that is given in the place of others. */
function isGiven(digits: string): boolean {
  const plain = digits.replace(/^00(?=[1-9])/, '');
  return plain.length >= FEWEST && GIVEN.some((form) => plain.length <= form.length && fits(plain, form));
}

function fits(digits: string, form: string): boolean {
  return [...digits].every((digit, at) => {
    const wanted = form[at];
    return wanted === 'd' || wanted === digit || (wanted === 'N' && digit >= '2');
  });
}

/** Escapes of an address have digits of their own. */
function digitsOf(text: string): string {
  return text.replaceAll('%20', '').replace(/\D/g, '');
}

/** Writes other digits as these are written. */
function spell(text: string, digits: string): string {
  let next = 0;
  return text.replace(/%20|\d/g, (found) => {
    if (found === '%20') return found;
    next += 1;
    return digits[next - 1] ?? '5';
  });
}
