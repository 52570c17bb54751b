import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createPlivo } from '../carriers/plivo.ts';
import { createTelnyx } from '../carriers/telnyx.ts';
import { createTwilio } from '../carriers/twilio.ts';
import { END_REASONS } from '../src/call-events.ts';
import type { Carrier } from '../src/carrier.ts';
import { carrierTable } from '../src/commands/carriers.ts';
import { SETTINGS } from '../src/config/settings.ts';
import { ENGINE_FLAGS } from '../src/engine-flags.ts';
import { ERRORS } from '../src/errors.ts';
import { createMetrics } from '../src/metrics.ts';

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

describe('docs/observability.md', () => {
  const page = read('docs/observability.md');

  it('has the metrics that there are, each once and with the kind that it is', async () => {
    const text = await createMetrics().text();
    const there = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, kind]) => `${name} ${kind}`);
    const sections = page.slice(page.indexOf('\n## Metrics')).split('\n### ');
    const told = sections.flatMap((section) => {
      const usual = section.startsWith('Latencies') ? 'histogram' : 'counter';
      const rows = section.matchAll(/^\| `(\w+)` \|[^|]*\| (gauge: )?/gm);
      return [...rows].map(([, name, gauge]) => `${name} ${gauge === undefined ? usual : 'gauge'}`);
    });
    expect(told.filter((line) => /^(patchcord|nodejs)_/.test(line)).toSorted()).toEqual(there.toSorted());
  });

  it('names the labels of those that count calls', async () => {
    const metrics = createMetrics();
    metrics.callStarted();
    const counts = { framesIn: 1, filledMs: 1, lostBeforeReadyMs: 1, refusedFrames: 1, refusedDownlinkMs: 1 };
    const lost = { droppedDownlinkMs: 1, underruns: 1, marksLost: 1, providerErrors: 1, providerWarnings: 1 };
    metrics.callEnded(
      { reason: 'failed', carrier: 'twilio', provider: 'openai' },
      { ...counts, ...lost, seconds: 1, bargeIns: 1 },
    );
    metrics.latencies('twilio', 'openai').turn.commit.observe(1);
    metrics.webhookAnswered('twilio', 'voice', 1);
    metrics.unreadable('twilio');
    const text = await metrics.text();
    const rows = [...page.matchAll(/^\| `(patchcord_\w+)` \| (`.*?) \| /gm)];
    for (const [, series = '', labels = ''] of text.matchAll(/^(patchcord_\w+)\{(.*)\} /gm)) {
      const name = series.replace(/_(bucket|sum|count)$/, '');
      const [, , told = ''] = rows.find(([, row]) => row === name) ?? [];
      const names = [...labels.matchAll(/(\w+)="/g)].flatMap(([, label = '']) =>
        label === 'le' ? [] : [label],
      );
      expect(
        [...told.replace(/\(.*\)/, '').matchAll(/`(\w+)`/g)].map(([, label]) => label),
        name,
      ).toEqual(names);
    }
  });

  it('asks in its alerts for metrics and labels that there are', async () => {
    const there = new Set(
      [...(await createMetrics().text()).matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name),
    );
    const asked = [...page.matchAll(/(?:patchcord|nodejs)_\w+/g)].map(([name]) =>
      name.replace(/_bucket$/, ''),
    );
    expect(asked.length).toBeGreaterThan(60);
    expect(asked.filter((name) => !there.has(name))).toEqual([]);
  });

  it('has every field of the event of a turn', () => {
    const [example = ''] = /\{ "type": "turn".*?\}/s.exec(page) ?? [];
    const fields = Object.keys(JSON.parse(example) as object).filter(
      (field) => field !== 'type' && field !== 'atMs',
    );
    for (const field of fields) expect(page, field).toContain(`\n| \`${field}\` |`);
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

describe('the engine of the service', () => {
  it('is started with the same flags by npm and in the image', () => {
    const { start } = (JSON.parse(read('package.json')) as { scripts: { start: string } }).scripts;
    expect(start).toContain(` ${ENGINE_FLAGS.join(' ')} `);
    const entry = /^ENTRYPOINT (\[.*\])$/m.exec(read('Dockerfile'))?.[1] ?? '[]';
    expect(JSON.parse(entry)).toEqual(start.split(' ').slice(0, -1));
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
    'docs/performance.md',
    'docs/workers.md',
    'examples/booking/README.md',
  ])('%s has no dead link', (path) => {
    const targets = [...read(path).matchAll(/\]\(([^)#\s]+)\)/g)].map(([, target]) => target ?? '');
    for (const target of targets.filter((link) => !link.includes('://'))) {
      expect(existsSync(new URL(target, new URL(`../${path}`, import.meta.url))), target).toBe(true);
    }
  });
});
