import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createPlivo } from '../carriers/plivo.ts';
import { createTelnyx } from '../carriers/telnyx.ts';
import { createTwilio } from '../carriers/twilio.ts';
import { END_REASONS } from '../src/call-events.ts';
import type { Carrier } from '../src/carrier.ts';
import { carrierTable } from '../src/commands/carriers.ts';
import { SETTINGS } from '../src/config/settings.ts';
import { ERRORS } from '../src/errors.ts';

/** The text of a file, by its path from the root of the repository. */
function read(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}

/** The body rows of the table that begins with this header line, each as its trimmed cells. */
function tableRows(markdown: string, header: string): string[][] {
  const lines = markdown.split('\n');
  const start = lines.indexOf(header);
  if (start < 0) throw new Error(`no table ${header}`);
  const rows = lines.slice(start + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, end < 0 ? undefined : end).map((line) =>
    line
      .slice(1, line.lastIndexOf('|'))
      .split('|')
      .map((cell) => cell.trim()),
  );
}

describe('docs/errors.md', () => {
  const page = read('docs/errors.md');
  const word = (value: boolean): string => (value ? 'yes' : 'no');

  it('has the rows of the error table, no more and no fewer, in the same order', () => {
    const wanted = Object.entries(ERRORS).map(([code, { retry, failOver, endCall, text }]) => [
      `\`${code}\``,
      text,
      word(retry),
      word(failOver),
      word(endCall),
    ]);
    expect(tableRows(page, '| Code | Meaning | Retry | Fail over | End call |')).toEqual(wanted);
  });

  it('says for every code what to do', () => {
    const rows = tableRows(page, '| Code | What an operator should do |');
    expect(rows.map(([code]) => code)).toEqual(Object.keys(ERRORS).map((code) => `\`${code}\``));
    for (const [code, advice] of rows) expect(advice, code).toMatch(/^[A-Z].{15,}\.$/);
  });
});

/** What a carrier answers a call with, on a service at https://voice.example.com; what differs from call to call is `…`. */
function answerOf(carrier: Carrier, callId: string): string {
  const base = 'https://voice.example.com';
  const call = { callId, control: 'document', from: '', to: '', direction: 'inbound' } as const;
  const { answer } = carrier.accept(
    { ...call, callerName: undefined, ref: undefined },
    {
      mediaUrl: `wss://voice.example.com/media/${carrier.name}/…`,
      afterUrl: `${base}/after/${carrier.name}/…`,
      announceUrl: `${base}/announce/${carrier.name}/…`,
      statusUrl: `${base}/status/${carrier.name}`,
      streamStatusUrl: `${base}/stream-status/${carrier.name}`,
      params: { call: callId, agent: 'voice-agent' },
      fallback: { type: 'say', text: 'We are sorry. …', language: undefined },
      plainCodec: false,
      standsAlone: true,
    },
  );
  return answer.body.replace(/^<\?xml[^>]*>/, '');
}

describe('docs/carriers.md', () => {
  it('shows the documents that carriers are really given', () => {
    const account = { publicUrl: () => '', insecure: false, epochMs: () => 0 };
    const wanted = [
      answerOf(createTwilio({ ...account, accountSid: undefined, authToken: undefined }), 'CA…'),
      answerOf(
        createTelnyx({ ...account, apiKey: undefined, publicKey: undefined, connectionId: undefined }),
        'v3:…',
      ),
      // Its header takes letters and digits only, so the id of a call is left out.
      answerOf(createPlivo({ ...account, authId: undefined, authToken: undefined }), 'a-b').replace(
        / extraHeaders="[^"]*"/,
        '',
      ),
    ];
    const shown = [...read('docs/carriers.md').matchAll(/```xml\n(.*?)```/gs)].map(([, xml = '']) =>
      xml.replace(/\s+/g, ' ').replaceAll('> <', '><').trim(),
    );
    expect(shown).toEqual(wanted);
  });

  it('has the table of what the carriers can do, as the code has it', async () => {
    expect(read('docs/carriers.md')).toContain(`\n\n${await carrierTable()}\n`);
  });
});

describe('README.md', () => {
  const page = read('README.md');

  it('has a row for every setting but those of providers, with its default and meaning, and no other', () => {
    const wanted = SETTINGS.map(({ name, fallback, text }) => [`\`${name}\``, fallback, text]);
    expect(tableRows(page, '| variable | default | meaning |')).toEqual(wanted);
  });

  it('names the commands there are', () => {
    const named = tableRows(page, '| command | what it does |').map(([cell]) =>
      cell?.split(' ')[1]?.replace('`', ''),
    );
    expect(named).toEqual([
      'serve',
      'check',
      'call',
      'dial',
      'simulate',
      'simulate',
      'demo',
      'drill',
      'replay',
      'fixture',
      'inspect',
      'redact',
      'providers',
      'carriers',
    ]);
  });
});

describe('docs/lifecycle.md', () => {
  it('has a row for every reason for which a call ends', () => {
    const rows = tableRows(read('docs/lifecycle.md'), '| reason | said by | what the caller gets |');
    expect(rows.map(([reason]) => reason?.replaceAll('`', ''))).toEqual([...END_REASONS]);
  });
});

describe('docs/decisions.md', () => {
  it('says of every dependency why it is there', () => {
    const named = tableRows(read('docs/decisions.md'), '| package | why this one |')
      .flatMap(([cell]) => (cell ?? '').split(','))
      .map((name) => name.replaceAll('`', '').trim().split(' ')[0] ?? '');
    const manifest: Record<string, Record<string, string>> = JSON.parse(read('package.json'));
    const used = Object.keys({ ...manifest['dependencies'], ...manifest['devDependencies'] });
    const missing = used.filter(
      (name) => !named.includes(name) && !name.startsWith('@types/') && name !== '@vitest/coverage-v8',
    );
    expect(missing).toEqual([]);
  });
});

describe('every page', () => {
  it.each([
    'README.md',
    'CHANGELOG.md',
    'docs/carriers.md',
    'docs/providers.md',
    'docs/lifecycle.md',
    'docs/errors.md',
    'docs/decisions.md',
    'docs/agents.md',
    'docs/tools.md',
    'docs/webhooks.md',
    'docs/recordings.md',
    'docs/cost.md',
    'docs/workers.md',
    'examples/booking/README.md',
  ])('%s has no dead link', (path) => {
    const targets = [...read(path).matchAll(/\]\(([^)#\s]+)\)/g)].map(([, target]) => target ?? '');
    for (const target of targets.filter((link) => !link.includes('://'))) {
      expect(existsSync(new URL(target, new URL(`../${path}`, import.meta.url))), target).toBe(true);
    }
  });
});
