import { describe, expect, it } from 'vitest';
import { element, writeXml } from '../src/carrier-xml.ts';
import { seeded } from './support/signal.ts';
import { el, readXml } from './support/xml.ts';

const HOSTILE = `"'<>&amp;]]> \t\n\r é 😀 \u2028 </Say><Hangup/><!-- -- <![CDATA[`;

describe('answer documents in XML', () => {
  it('are one line with a declaration', () => {
    const dial = element('Dial', { timeout: 20, record: false, action: undefined }, [
      element('Number', {}, '+14155550100'),
      element('Hangup'),
    ]);
    expect(writeXml(element('Response', {}, [dial]))).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>' +
        '<Response><Dial timeout="20" record="false"><Number>+14155550100</Number><Hangup/></Dial></Response>',
    );
  });

  it('are short where nothing is inside', () => {
    for (const content of ['', []]) {
      expect(writeXml(element('Response', {}, content))).toBe(
        '<?xml version="1.0" encoding="UTF-8"?><Response/>',
      );
    }
  });

  it('write an attribute that is empty, zero or false, and none that is undefined', () => {
    const attributes = { empty: '', zero: 0, no: false, none: undefined };
    expect(readXml(writeXml(element('A', attributes)))).toEqual(
      el('A', { empty: '', zero: '0', no: 'false' }),
    );
  });

  it('bring hostile text through to its last character', () => {
    const document = element('Response', { a: HOSTILE }, [element('Say', { b: HOSTILE }, HOSTILE)]);
    expect(readXml(writeXml(document))).toEqual(
      el('Response', { a: HOSTILE }, el('Say', { b: HOSTILE }, HOSTILE)),
    );
  });

  it('leave out what XML cannot hold, also where a carrier could be misled by it', () => {
    const text = 'a\u0000b\u001bc\ud800d\uffffe\ufffef\u007fg\udc00';
    expect(readXml(writeXml(element('Say', { a: text }, text)))).toEqual(
      el('Say', { a: 'abcdefg' }, 'abcdefg'),
    );
    expect(readXml(writeXml(element('Say', {}, '\u0000<\u0000/Say>')))).toEqual(el('Say', {}, '</Say>'));
  });

  it('are read by a strict parser whatever they hold', () => {
    const random = seeded(11);
    const below = (n: number): number => Math.floor(random() * n);
    const letters = [
      '<',
      '>',
      '&',
      '"',
      "'",
      ']]>',
      '&#0;',
      '\r\n',
      '\t',
      '--',
      '\ud83d\ude00',
      '\ud83d',
      '\udc00',
    ];
    const text = (): string =>
      Array.from({ length: below(12) }, () =>
        below(2) === 0 ? (letters[below(letters.length)] ?? '') : String.fromCharCode(below(65_536)),
      ).join('');
    // What XML cannot hold, said another way than by the code under test.
    const holds = (character: string): boolean => {
      const code = character.codePointAt(0) ?? 0;
      if (code < 0x20) return code === 9 || code === 10 || code === 13;
      return (
        !(code >= 0x7f && code <= 0x9f) &&
        !(code >= 0xd800 && code <= 0xdfff) &&
        code !== 0xfffe &&
        code !== 0xffff
      );
    };
    const kept = (value: string): string => [...value].filter(holds).join('');
    for (let round = 0; round < 1000; round++) {
      const [attribute, content] = [text(), text()];
      const found = readXml(writeXml(element('Say', { a: attribute }, content)));
      const children = kept(content) === '' ? [] : [kept(content)];
      expect(found).toEqual(el('Say', { a: kept(attribute) }, ...children));
    }
  });
});
