import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { hookUrl } from '../src/hooks/fields.ts';
import { isSecret, signedHeaders } from '../src/hooks/signature.ts';

const secret = (bytes: number): string => `whsec_${randomBytes(bytes).toString('base64')}`;
const now = (): number => Math.floor(Date.now() / 1000);

describe('a signature', () => {
  it.each([24, 32, 64])('is accepted by the reference library with a secret of %i bytes', (bytes) => {
    const own = secret(bytes);
    const body = JSON.stringify({ text: 'Grüße, 🎉', n: 1 });
    const headers = signedHeaders(own, { id: 'call_1', timestampS: now(), body });
    expect(new Webhook(own).verify(body, headers)).toEqual({ text: 'Grüße, 🎉', n: 1 });
  });

  it('does not fit another body, id, time or secret', () => {
    const own = secret(32);
    const headers = signedHeaders(own, { id: 'call_1', timestampS: now(), body: '{}' });
    const reader = new Webhook(own);
    expect(() => reader.verify('{ }', headers)).toThrow('No matching signature');
    expect(() => reader.verify('{}', { ...headers, 'webhook-id': 'call_2' })).toThrow(
      'No matching signature',
    );
    expect(() => reader.verify('{}', { ...headers, 'webhook-timestamp': String(now() - 9) })).toThrow(
      'No matching signature',
    );
    expect(() => new Webhook(secret(32)).verify('{}', headers)).toThrow('No matching signature');
  });

  it('is made with every secret, so that receivers know the old or the new one', () => {
    const [fresh, old] = [secret(32), secret(32)];
    const headers = signedHeaders(` ${fresh}  ${old}\n`, { id: 'call_1', timestampS: now(), body: '{}' });
    expect(headers['webhook-signature']?.split(' ')).toHaveLength(2);
    expect(new Webhook(fresh).verify('{}', headers)).toEqual({});
    expect(new Webhook(old).verify('{}', headers)).toEqual({});
  });

  it.each([
    ['nothing', ''],
    ['no prefix', randomBytes(32).toString('base64')],
    ['23 bytes', secret(23)],
    ['65 bytes', secret(65)],
    ['the alphabet of URLs', `whsec_${Buffer.alloc(32, 0xff).toString('base64url')}`],
    ['no padding', `whsec_${Buffer.alloc(32, 1).toString('base64').replace('=', '')}`],
    ['words', 'whsec_hunter2hunter2 hunter3hunter3'],
    ['one good and one bad one', `${secret(32)} whsec_x`],
  ])('is refused with a secret that is %s, which is not shown', (_what, bad) => {
    expect(isSecret(bad)).toBe(false);
    const sign = (): unknown => signedHeaders(bad, { id: 'a', timestampS: 1, body: '' });
    expect(sign).toThrow(/BAD_CONFIG: the secret of a webhook: found .* wanted whsec_/);
    for (const word of bad.split(/\s+/).filter((part) => part.length > 4)) {
      expect(sign).toThrow(expect.not.objectContaining({ message: expect.stringContaining(word) }));
    }
  });
});

describe('an address', () => {
  it.each([
    'https://example.com/hook?x=1',
    'https://10.0.0.1/',
    'http://localhost:8080/',
    'http://127.0.0.1:1/',
    'http://127.1.2.3:1/',
    'http://[::1]:1/',
  ])('%s is taken', (url) => {
    expect(hookUrl(url)?.href).toBe(url);
  });

  it.each([
    'http://example.com/',
    'http://127.0.0.1.example.com/',
    'http://localhost.example.com/',
    'http://hooks.localhost/',
    'http://0.0.0.0/',
    'http://[::ffff:10.0.0.1]/',
    'http://10.0.0.1/',
    'https://user:pass@example.com/',
    'https://user@example.com/',
    'ftp://example.com/',
    'example.com',
    '',
  ])('%s is not', (url) => {
    expect(hookUrl(url)).toBeUndefined();
  });
});
