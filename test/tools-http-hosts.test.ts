import type { LookupFunction } from 'node:net';
import { describe, expect, it } from 'vitest';
import { isPublicAddress, publicLookup } from '../src/tools/http/addresses.ts';
import { canonicalHost, findHost, type HttpHost, mayRedirect, readHost } from '../src/tools/http/hosts.ts';
import { httpHostSchema } from '../src/tools/http.ts';

function hosts(...entries: (string | { host: string; private: boolean })[]): HttpHost[] {
  return entries.map((entry) => httpHostSchema.parse(entry));
}

describe('an address', () => {
  it.each([
    ['0.0.0.0'],
    ['0.1.2.3'],
    ['10.0.0.1'],
    ['100.64.0.1'],
    ['100.127.255.255'],
    ['127.0.0.1'],
    ['127.255.255.254'],
    ['169.254.169.254'],
    ['172.16.0.1'],
    ['172.31.255.255'],
    ['192.0.0.8'],
    ['192.0.2.1'],
    ['192.88.99.1'],
    ['192.168.1.1'],
    ['198.18.0.1'],
    ['198.19.255.255'],
    ['198.51.100.7'],
    ['203.0.113.7'],
    ['224.0.0.1'],
    ['239.255.255.255'],
    ['240.0.0.1'],
    ['255.255.255.255'],
    ['::'],
    ['::1'],
    ['::127.0.0.1'],
    ['::ffff:127.0.0.1'],
    ['::ffff:7f00:1'],
    ['::ffff:8.8.8.8'],
    ['::ffff:0:127.0.0.1'],
    ['64:ff9b::127.0.0.1'],
    ['64:ff9b::a9fe:a9fe'],
    ['64:ff9b::'],
    ['64:ff9b:1::8.8.8.8'],
    ['100::1'],
    ['2001::1'],
    ['2001:0:4136:e378:8000:63bf:3fff:fdd2'],
    ['2001:db8::1'],
    ['2002:7f00:1::'],
    ['2002:a9fe:a9fe::1'],
    ['3fff::1'],
    ['5f00::1'],
    ['fc00::1'],
    ['fd12:3456::1'],
    ['fe80::1'],
    ['fe80::1%eth0'],
    ['fec0::1'],
    ['ff02::1'],
    ['2606:4700::1111%eth0'],
    ['localhost'],
    [''],
    ['8.8.8'],
    ['08.8.8.8'],
  ])('%s is not public', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each([
    ['8.8.8.8'],
    ['1.1.1.1'],
    ['9.255.255.255'],
    ['11.0.0.0'],
    ['100.63.255.255'],
    ['100.128.0.0'],
    ['172.15.255.255'],
    ['172.32.0.0'],
    ['192.167.255.255'],
    ['198.17.255.255'],
    ['198.20.0.0'],
    ['223.255.255.255'],
    ['2606:4700:4700::1111'],
    ['2001:4860:4860::8888'],
    ['2a00:1450:4001::1'],
    // A network without IPv4 gives every host of the Internet such an address.
    ['64:ff9b::8.8.8.8'],
    ['64:ff9b::808:808'],
  ])('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });
});

describe('a resolver that is watched', () => {
  type Found = string | { address: string; family: number }[];

  /** What comes of it when the system's resolver says this. */
  function resolved(found: Found, error: Error | null = null): { error: Error | null; found: unknown } {
    const system: LookupFunction = (_hostname, _options, callback) => callback(error, found, 4);
    let seen: { error: Error | null; found: unknown } | undefined;
    publicLookup(system)('service.test', {}, (why, what) => {
      seen = { error: why, found: what };
    });
    if (seen === undefined) throw new Error('the resolver said nothing');
    return seen;
  }

  it('hands on exactly the addresses that it has checked', () => {
    const all = [
      { address: '8.8.8.8', family: 4 },
      { address: '2001:4860:4860::8888', family: 6 },
    ];
    expect(resolved(all)).toEqual({ error: null, found: all });
    expect(resolved('8.8.8.8')).toEqual({ error: null, found: '8.8.8.8' });
  });

  it.each<[string, Found]>([
    [
      'one of many is inside',
      [
        { address: '8.8.8.8', family: 4 },
        { address: '10.0.0.1', family: 4 },
      ],
    ],
    ['the only one is inside', '127.0.0.1'],
    ['there is none', []],
    ['it is no address', 'inside.test'],
  ])('hands on none when %s', (_when, found) => {
    const seen = resolved(found);
    expect(seen.error?.message).toContain('not public');
    expect(seen.found).toBe('');
  });

  it('hands on its failures', () => {
    const error = new Error('ENOTFOUND');
    expect(resolved('', error).error).toBe(error);
  });
});

describe('an entry of the list', () => {
  it.each([
    ['api.example.com', { host: 'api.example.com', below: false, port: undefined }],
    ['API.Example.COM.', { host: 'api.example.com', below: false, port: undefined }],
    ['api.example.com:8443', { host: 'api.example.com', below: false, port: 8443 }],
    ['*.example.com', { host: 'example.com', below: true, port: undefined }],
    ['*.example.com:444', { host: 'example.com', below: true, port: 444 }],
    ['bücher.example', { host: 'xn--bcher-kva.example', below: false, port: undefined }],
    ['8.8.8.8', { host: '8.8.8.8', below: false, port: undefined }],
    ['[2606:4700::1111]:8443', { host: '[2606:4700::1111]', below: false, port: 8443 }],
  ])('%s is read', (entry, wanted) => {
    expect(readHost(entry, false)).toEqual({ ...wanted, private: false });
  });

  it.each([
    [''],
    ['*'],
    ['*.'],
    ['*.com'],
    ['a.*.example.com'],
    ['https://api.example.com'],
    ['api.example.com/path'],
    ['user@api.example.com'],
    ['api.example.com#x'],
    ['api.example.com?x'],
    ['api.example.com\\x'],
    ['api example.com'],
    ['api.example.com:0'],
    ['api.example.com:65536'],
    ['api.example.com:80:80'],
    ['api..example.com'],
    ['::1'],
    ['127.0.0.1'],
    ['2130706433'],
    ['0x7f.1'],
    ['[::ffff:10.0.0.1]'],
    ['*.8.8.8.8'],
    ['exa%6dple.com'],
  ])('%s is refused', (entry) => {
    expect(httpHostSchema.safeParse(entry).success).toBe(false);
  });

  it('may be inside when it says so', () => {
    expect(readHost('2130706433:8080', true)).toEqual({
      host: '127.0.0.1',
      below: false,
      port: 8080,
      private: true,
    });
    expect(readHost('*.internal', true)).toMatchObject({ host: 'internal', below: true });
  });

  it('is not shown where it may hold a password or a key', () => {
    for (const entry of ['https://me:hush@api.example.com', 'api.example.com?key=hush']) {
      expect(readHost(entry, false)).toMatch(/^found something else, wanted a host/);
    }
    expect(readHost('a b', false)).toMatch(/^found "a b", wanted a host/);
  });

  it('has no keys but host and private', () => {
    expect(httpHostSchema.safeParse({ host: 'a.example', privat: true }).success).toBe(false);
  });
});

describe('the list', () => {
  const list = hosts('api.example.com', 'api.example.com:8443', '*.shop.example', {
    host: 'crm.internal:8080',
    private: true,
  });

  it.each([
    ['https://api.example.com/x'],
    ['https://API.EXAMPLE.COM./x'],
    ['https://api.example.com:443/'],
    ['https://api.example.com:8443/'],
    ['https://a.shop.example/'],
    ['https://a.b.shop.example/'],
    ['http://crm.internal:8080/'],
    ['https://crm.internal:8080/'],
    ['https://ａｐｉ.example.com/'],
  ])('has %s', (url) => {
    expect(findHost(list, new URL(url))).toBeTypeOf('object');
  });

  it.each([
    ['https://example.com/', 'not one of those'],
    ['https://evilapi.example.com/', 'not one of those'],
    ['https://api.example.com.evil.example/', 'not one of those'],
    ['https://api.example.com../', 'not one of those'],
    ['https://shop.example/', 'not one of those'],
    ['https://evilshop.example/', 'not one of those'],
    ['https://api.example.com:444/', 'port'],
    ['http://api.example.com/', 'wanted https'],
    ['http://api.example.com:8443/', 'wanted https'],
    ['http://crm.internal/', 'port'],
    ['ftp://crm.internal:8080/', 'wanted https'],
    ['https://api.example.com@evil.example/', 'not one of those'],
    ['https://127.0.0.1/', 'that address'],
  ])('does not have %s', (url, why) => {
    expect(findHost(list, new URL(url))).toContain(why);
  });

  it('takes the exact entry before the wildcard, so that one host inside does not open the others', () => {
    const mixed = hosts('*.example.com', { host: 'db.example.com', private: true });
    expect(findHost(mixed, new URL('http://db.example.com/'))).toMatchObject({ private: true });
    expect(findHost(mixed, new URL('http://api.example.com/'))).toContain('wanted https');
    const other = hosts({ host: '*.example.com', private: true }, 'api.example.com');
    expect(findHost(other, new URL('https://api.example.com/'))).toMatchObject({ private: false });
  });

  it.each([
    ['https://api.example.com/', 'https://b.example.com/', true],
    ['https://api.example.com/', 'https://api.example.com/b', true],
    ['https://api.example.com/', 'https://crm.internal/', false],
    ['https://api.example.com/', 'http://crm.internal/', false],
    ['https://crm.internal/', 'https://crm.internal/b', true],
    ['https://crm.internal/', 'http://crm.internal/b', false],
    ['http://crm.internal/', 'https://crm.internal/b', true],
    ['http://crm.internal/', 'http://erp.internal/', true],
    ['http://crm.internal/', 'https://api.example.com/', true],
    ['https://api.example.com/', 'https://elsewhere.example.org/', false],
  ])('lets a redirect from %s lead to %s: %s', (from, to, may) => {
    const hosts = [
      'api.example.com',
      'b.example.com',
      { host: 'crm.internal', private: true },
      { host: 'erp.internal', private: true },
    ].map((entry) => httpHostSchema.parse(entry));
    expect(mayRedirect(hosts, new URL(from), new URL(to))).toBe(may);
  });

  it('writes a host in one way', () => {
    expect(canonicalHost('0x7f000001')).toBe('127.0.0.1');
    expect(canonicalHost('[::FFFF:127.0.0.1]')).toBe('[::ffff:7f00:1]');
    expect(canonicalHost('a b')).toBeUndefined();
    expect(canonicalHost('')).toBeUndefined();
  });
});
