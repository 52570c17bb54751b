import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAssets } from '../src/inspect/assets.ts';
import { inspectPage } from '../src/inspect/page.ts';
import { escapeHtml, plain, scriptJson, shortened } from '../src/inspect/plain.ts';
import { readCall, type StoredCall } from '../src/recording/stored-call.ts';
import { Browser, findBrowser, type Tab } from './support/browser.ts';
import { CallMaker, callFile, eventfulCall } from './support/stored-call.ts';

const OPTIONS = { audio: true, maxAudioBytes: 100_000_000 };
const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Texts of a call that want to be something else. */
const HOSTILE = [
  '</script><script>window.pwned = 1</script>',
  '<img src=https://evil.example/x onerror="window.pwned = 2">',
  '<!--<script>',
  ']]></style><style>body{display:none}',
  '\u202egnihton si siht\u202c',
  'a\u0000b\u001bc\u2028d\ud800e',
  '`"\'\\$',
  'x'.repeat(200_000),
  '🙂 שלום مرحبا',
];

/** A call in which whatever may hold a text from outside holds a hostile one. */
function hostileCall(): StoredCall {
  const call = new CallMaker({
    proves: HOSTILE.join(' '),
    origin: { how: 'recorded', by: HOSTILE[0], command: HOSTILE[1] },
    settings: { NAME: HOSTILE[2] ?? '' },
    agent: { ...callFile().agent, name: `${HOSTILE[0]}${HOSTILE[4]}` },
  });
  call.opens().agent(1000, HOSTILE[0] ?? '', 2000);
  HOSTILE.forEach((text, index) => {
    const t = 1000 + index * 100;
    call.says(t, index % 2 === 0 ? 'assistant' : 'user', `${text}${index}`, text);
    call.add({
      t,
      on: 'tool',
      dir: 'out',
      msg: { id: index, run: text, toolCallId: text, args: { [text]: text } },
    });
    call.add({ t: t + 1, on: 'tool', dir: 'in', msg: { id: index, threw: { message: text } } });
    call.provider(t, 'in', { type: text, delta: text, [text]: { text } });
    call.carrier(t, 'in', { event: text });
    call.carrier(t, 'in', { event: 'mark', mark: { name: text } });
    call.carrier(t, 'in', { event: 'dtmf', dtmf: { digit: text } });
    call.add({ t, on: 'provider', dir: 'in', conn: 1, ctl: { type: 'close', code: 1011, reason: text } });
    call.call(t, {
      type: 'providerFailed',
      provider: text,
      model: text,
      phase: 'in-call',
      code: text,
      ms: 1,
    });
    call.call(t, {
      type: 'providerReady',
      provider: text,
      model: text,
      why: text,
      resumed: false,
      connectMs: 1,
      historyItems: 0,
      replayedMs: 0,
    });
  });
  return call.stored([HOSTILE[0] ?? ''], `/calls/${HOSTILE[1]?.replaceAll('/', '')}`);
}

describe('the page as text', () => {
  const { html, audioBytes } = inspectPage(hostileCall(), OPTIONS);

  it('has one script and one style, which are those that its policy names, and no other element of the call', () => {
    expect(html.match(/<script/g)).toHaveLength(2 + (html.match(/class="sound"/g)?.length ?? 0));
    expect(html.match(/<style/g)).toHaveLength(1);
    expect(html).not.toContain('<img');
    expect(html).not.toContain('<!--');
    // No attribute loads anything or does anything; what stands in the data is data.
    const elements = html.replace(/<script[^>]*>[^<]*<\/script>/g, '').match(/<[^>]*>/g) ?? [];
    expect(elements.filter((one) => /\s(?:src|href|on\w+)=/.test(one))).toEqual([
      '<link rel="icon" href="data:,">',
    ]);
  });

  it('has the policy before anything that it could be about', () => {
    expect(html.indexOf('Content-Security-Policy')).toBeLessThan(html.indexOf('<style'));
    expect(html.indexOf('Content-Security-Policy')).toBeLessThan(html.indexOf('<title'));
    expect(html).toContain("default-src 'none'; script-src 'sha256-");
  });

  it('is not as large as the texts of the call want it to be', () => {
    expect(html.length).toBeLessThan(4_000_000);
    expect(audioBytes).toBeGreaterThan(100);
  });

  it('is the same for the same call', () => {
    expect(inspectPage(hostileCall(), OPTIONS).html).toBe(html);
  });
});

describe('texts', () => {
  it('are plain: what cannot be seen is named', () => {
    expect(plain('a\u202eb\u0000c\ud83d\nd\te\r')).toBe('a[U+202E]b[U+0000]c[U+D83D]\nd\te');
    expect(plain('🙂 שלום مرحبا é 漢字')).toBe('🙂 שלום مرحبا é 漢字');
    expect(plain('\u2066\u2069\u200f\u061c\u0085\u2028\ufeff')).toBe(
      '[U+2066][U+2069][U+200F][U+061C][U+0085][U+2028][U+FEFF]',
    );
  });

  it('end nothing, neither in HTML nor in a script', () => {
    expect(escapeHtml('<a href="x">&')).toBe('&lt;a href=&quot;x&quot;&gt;&amp;');
    const text = '</script><!-- <script> &';
    expect(scriptJson({ text })).not.toMatch(/[<>&]/);
    expect(JSON.parse(scriptJson({ text }))).toEqual({ text });
  });

  it('are cut where they are too long', () => {
    expect(shortened('abcdef', 3)).toBe('abc … (3 characters more)');
    expect(shortened('abc', 3)).toBe('abc');
  });
});

describe('the sound of a page', () => {
  it('is left out when it is not wanted, or would be too much: the page says why', () => {
    const without = inspectPage(eventfulCall(), { ...OPTIONS, audio: false });
    expect([without.audioBytes, without.silent]).toEqual([0, 'the page was made without sound']);
    expect(without.html).not.toContain('class="sound"');
    const tooMuch = inspectPage(eventfulCall(), { ...OPTIONS, maxAudioBytes: 10 });
    expect(tooMuch.silent).toContain('the limit is 0.0 MB');
    expect(inspectPage({ ...eventfulCall(), wavs: new Map() }, OPTIONS).silent).toBe('the call has no sound');
  });
});

describe('the script of the page', () => {
  it('passes the type checker', () => {
    const { status, stdout } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'web'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });

  it('is one script without modules', () => {
    expect(readAssets().script).not.toMatch(/^(?:import|export) /m);
    // Throws a SyntaxError for a name that two of its files have.
    expect(() => new Function(readAssets().script)).not.toThrow();
  });
});

const command = findBrowser();
if (command === undefined)
  process.stderr.write('there is no Chromium here: pages are not tried in a browser\n');

describe.skipIf(command === undefined)('in a browser', { timeout: 60_000 }, () => {
  let folder = '';
  let browser: Browser;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'patchcord-inspect-'));
    browser = await Browser.start(command ?? '');
  }, 60_000);

  afterAll(async () => {
    await browser[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  /** Writes a page into a file and opens that. */
  async function open(
    name: string,
    stored: StoredCall,
    options: { readonly dark?: boolean; readonly audio?: boolean } = {},
  ): Promise<Tab> {
    const path = join(folder, `${name}.html`);
    writeFileSync(path, inspectPage(stored, { ...OPTIONS, audio: options.audio ?? true }).html);
    return await browser.open(pathToFileURL(path).href, options);
  }

  /** The loudness drawn in a lane at a time: coloured pixels below each other. */
  function drawn(tab: Tab, lane: string, ms: number): Promise<unknown> {
    return tab.run(`(() => {
      const canvas = document.getElementById('lane-${lane}');
      const x = Math.round((${ms} / Number(document.getElementById('lanes').getAttribute('aria-valuemax'))) * canvas.width);
      const { data } = canvas.getContext('2d').getImageData(x, 0, 1, canvas.height);
      let count = 0;
      for (let i = 3; i < data.length; i += 4) if (data[i] > 0) count += 1;
      return count;
    })()`);
  }

  const cursor = (tab: Tab): Promise<unknown> =>
    tab.run("Number(document.getElementById('lanes').getAttribute('aria-valuenow'))");

  it('opens from a file without a complaint and asks nobody for anything', async () => {
    const tab = await open('plain', eventfulCall());
    expect(tab.complaints).toEqual([]);
    expect(tab.requests).toEqual([pathToFileURL(join(folder, 'plain.html')).href]);
    expect(await tab.run("document.getElementById('verdict').textContent")).toBe(
      '2 failures, 2 slow, first word heard after 480 ms, answers after 880 ms (p50), 3.18 s (max)',
    );
    await tab.close();
  });

  it('draws speech where there was speech and nothing where there was none', async () => {
    const tab = await open('waves', eventfulCall());
    const isDrawn = async (lane: string, ms: number): Promise<boolean> =>
      Number(await drawn(tab, lane, ms)) > 10;
    expect([await isDrawn('said', 4500), await isDrawn('said', 8800), await isDrawn('said', 26_500)]).toEqual(
      [true, true, true],
    );
    expect([await isDrawn('said', 2000), await isDrawn('said', 7000), await isDrawn('said', 12_000)]).toEqual(
      [false, false, false],
    );
    expect([
      await isDrawn('heard', 1000),
      await isDrawn('heard', 7000),
      await isDrawn('heard', 21_000),
    ]).toEqual([true, true, true]);
    // Also what was sent and never heard is drawn, in another colour.
    expect([await isDrawn('heard', 9000), await isDrawn('heard', 10_500)]).toEqual([true, false]);
    const colours = await tab.run(`(() => {
      const canvas = document.getElementById('lane-heard');
      const at = (ms) => [...canvas.getContext('2d').getImageData(Math.round((ms / Number(document.getElementById('lanes').getAttribute('aria-valuemax'))) * canvas.width), canvas.height / 2 - 4, 1, 1).data].join();
      return [at(8000), at(9000)];
    })()`);
    expect(new Set(colours as string[]).size).toBe(2);
    expect([await isDrawn('providers', 10_000), await isDrawn('providers', 60)]).toEqual([true, false]);
    await tab.close();
  });

  it('draws marks, clears, what the model was told was heard, and who held the call, and says what they are', async () => {
    const tab = await open('marks', eventfulCall());
    // A clear is a line through the whole lane, a mark a dash.
    const [mark, clear] = [Number(await drawn(tab, 'marks', 420)), Number(await drawn(tab, 'marks', 8500))];
    expect(mark).toBeGreaterThan(0);
    expect(clear).toBeGreaterThan(mark);
    /** What the page says of a place in a lane. */
    const told = (lane: string, ms: number): Promise<unknown> =>
      tab.run(`(() => {
        const canvas = document.getElementById('lane-${lane}');
        const { left, top, width, height } = canvas.getBoundingClientRect();
        const share = ${ms} / Number(document.getElementById('lanes').getAttribute('aria-valuemax'));
        const at = { clientX: left + width * share, clientY: top + height / 2, bubbles: true };
        canvas.dispatchEvent(new PointerEvent('pointermove', at));
        return document.getElementById('hint').textContent;
      })()`);
    expect(await told('marks', 8500)).toContain(
      'clear: 1.08 s of speech dropped; the model was told that 2.12 s were heard',
    );
    expect(await told('marks', 420)).toMatch(/mark m\d+, echoed after [\d.]+ m?s/);
    expect(await told('functions', 10_400)).toContain('book_room');
    expect(await told('functions', 14_000)).toContain('5');
    expect(await told('providers', 10_000)).toContain('openai');
    expect(await told('providers', 25_000)).toContain('gemini');
    await tab.close();
  });

  it('moves the cursor while it plays, and stops where it is told to', async () => {
    const tab = await open('plays', eventfulCall());
    await tab.clickOn('#play');
    await tab.until("Number(document.getElementById('lanes').getAttribute('aria-valuenow')) > 300");
    expect(await tab.run("document.getElementById('play').textContent")).toContain('pause');
    expect(await tab.run("document.getElementById('silent').textContent")).toBe('');
    await tab.clickOn('#play');
    expect(await tab.run("document.getElementById('play').textContent")).toContain('play');
    const at = await cursor(tab);
    await tab.run(
      'new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))',
    );
    expect(await cursor(tab)).toBe(at);
    await tab.clickOn('[data-side="agent"]');
    expect(await tab.run(`document.querySelector('[data-side="agent"]').getAttribute('aria-pressed')`)).toBe(
      'true',
    );
    expect(tab.complaints).toEqual([]);
    expect(tab.requests.filter((url) => !url.startsWith('blob:') && !url.startsWith('file:'))).toEqual([]);
    await tab.close();
  });

  it('plays without sound where there is none', async () => {
    const tab = await open('silent', eventfulCall(), { audio: false });
    expect(await tab.run("document.getElementById('silent').textContent")).toBe(
      'no sound: the page was made without sound',
    );
    await tab.clickOn('#play');
    await tab.until("Number(document.getElementById('lanes').getAttribute('aria-valuenow')) > 200");
    await tab.close();
  });

  it('jumps to what is clicked: a finding, a word, an event, the time line', async () => {
    const tab = await open('jumps', eventfulCall());
    await tab.clickOn('#findings li button');
    expect(await cursor(tab)).toBe(17_201);
    await tab.clickOn('#talk .agent .word');
    expect(Math.round(Number(await cursor(tab)))).toBe(480);
    await tab.clickOn('#fit');
    await tab.run(`document.querySelector('#events').scrollTop = 0`);
    await tab.clickOn('#events [data-index="5"]');
    expect(await cursor(tab)).toBe(121);
    expect(await tab.run("JSON.parse(document.getElementById('detail').textContent).msg.type")).toBe(
      'session.update',
    );
    const box = (await tab.run(`(() => {
      document.getElementById('lanes').scrollIntoView({ block: 'center' });
      const { left, top, width, height } = document.getElementById('lane-said').getBoundingClientRect();
      return { left, top, width, height };
    })()`)) as {
      readonly left: number;
      readonly top: number;
      readonly width: number;
      readonly height: number;
    };
    await tab.click(box.left + box.width / 2, box.top + box.height / 2);
    expect(Math.abs(Number(await cursor(tab)) - 31_020 / 2)).toBeLessThan(60);
    await tab.close();
  });

  it('searches and filters events', async () => {
    const tab = await open('search', eventfulCall());
    const rows = (): Promise<unknown> =>
      tab.run("[...document.querySelectorAll('#events .event .label')].map((one) => one.textContent)");
    const count = (): Promise<unknown> => tab.run("document.getElementById('event-count').textContent");
    await tab.clickOn('#search');
    await tab.write('BOOK_room');
    expect(await rows()).toEqual(['book_room runs', 'book_room done']);
    await tab.press('Enter');
    expect(await cursor(tab)).toBe(10_000);
    await tab.clickOn('#search');
    await tab.press('Escape');
    await tab.write('lakeside');
    expect(await rows()).toEqual(['agent says']);
    await tab.press('Escape');
    await tab.clickOn('#search');
    const some = await count();
    await tab.clickOn('[data-kind="mark"]');
    expect(await count()).not.toBe(some);
    await tab.clickOn('#only-bad');
    expect(await rows()).toEqual([
      'closed 1011',
      'openai failed',
      'openai → gemini',
      'threw',
      'send_mail failed',
    ]);
    await tab.close();
  });

  it('does everything by keys', async () => {
    const tab = await open('keys', eventfulCall());
    const width = (): Promise<unknown> =>
      tab.run(`(() => {
      const { data, width } = (() => { const c = document.getElementById('overview'); return { data: c.getContext('2d').getImageData(0, 20, c.width, 1).data, width: c.width }; })();
      let count = 0;
      for (let x = 0; x < width; x += 1) if (data[4 * x + 3] > 0) count += 1;
      return count / width;
    })()`);
    const frames = (): Promise<unknown> =>
      tab.run(
        'new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))',
      );
    await tab.press('ArrowRight', { text: '' });
    await tab.press('ArrowRight', { text: '' });
    expect(await cursor(tab)).toBe(2000);
    await tab.press('ArrowLeft', { shift: true, text: '' });
    expect(await cursor(tab)).toBe(1980);
    await tab.press('n');
    expect(await cursor(tab)).toBe(17_200);
    await tab.press('p');
    expect(await cursor(tab)).toBe(17_200);
    expect(await width()).toBe(1);
    await tab.press('+');
    await frames();
    expect(Number(await width())).toBeLessThan(0.9);
    await tab.press('0');
    await frames();
    expect(await width()).toBe(1);
    await tab.press('/');
    expect(await tab.run('document.activeElement.id')).toBe('search');
    await tab.press('n');
    expect(await tab.run("document.getElementById('search').value")).toBe('n');
    await tab.press('Escape');
    await tab.press('End', { text: '' });
    expect(await cursor(tab)).toBe(31_020);
    await tab.press('Home', { text: '' });
    await tab.press(' ');
    await tab.until("Number(document.getElementById('lanes').getAttribute('aria-valuenow')) > 100");
    await tab.press(' ');
    await tab.run("document.getElementById('events').focus()");
    await tab.press('ArrowDown', { text: '' });
    await tab.press('ArrowDown', { text: '' });
    expect(await tab.run("document.getElementById('events').getAttribute('aria-activedescendant')")).toBe(
      'event-1',
    );
    expect(tab.complaints).toEqual([]);
    await tab.close();
  });

  it('gives every control a name, and marks to who cannot see', async () => {
    const tab = await open('names', eventfulCall());
    const nameless =
      await tab.run(`[...document.querySelectorAll('button, input, select, canvas, [tabindex]')]
      .filter((one) => (one.getAttribute('aria-label') ?? one.textContent.trim()) === '').map((one) => one.outerHTML)`);
    expect(nameless).toEqual([]);
    const { nodes } = await tab.send('Accessibility.getFullAXTree');
    const roles = new Set(
      (nodes as readonly { readonly role?: { readonly value: string } }[]).map((node) => node.role?.value),
    );
    for (const role of ['slider', 'listbox', 'toolbar', 'table', 'heading', 'list'])
      expect([...roles]).toContain(role);
    await tab.close();
  });

  it('is dark for who likes it dark, and can be read in both', async () => {
    for (const dark of [false, true]) {
      const tab = await open(`dark-${dark}`, eventfulCall(), { dark });
      const contrasts = await tab.run(`(() => {
        const light = (text) => {
          const [r, g, b] = text.match(/\\d+/g).map((one) => { const s = Number(one) / 255; return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (one) => { let at = one; while (getComputedStyle(at).backgroundColor === 'rgba(0, 0, 0, 0)') at = at.parentElement; return getComputedStyle(at).backgroundColor; };
        return [...document.querySelectorAll('h1, .words, .time, .findings bdi, .kind, .note, th, dd, .chip')].map((one) => {
          const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
          return [(a + 0.05) / (b + 0.05), one.className, one.textContent.slice(0, 20)];
        }).filter(([contrast]) => contrast < 4.5);
      })()`);
      expect(contrasts).toEqual([]);
      const paper = await tab.run('getComputedStyle(document.body).backgroundColor');
      expect(paper).toBe(dark ? 'rgb(14, 17, 22)' : 'rgb(255, 255, 255)');
      await tab.close();
    }
  });

  it('lets hostile texts do nothing but be read', async () => {
    const tab = await open('hostile', hostileCall());
    expect(await tab.run('window.pwned')).toBeUndefined();
    expect(tab.complaints).toEqual([]);
    expect(tab.requests.filter((url) => !url.startsWith('file:'))).toEqual([]);
    expect(await tab.run("document.querySelectorAll('img, iframe, style').length")).toBe(1);
    expect(await tab.run('document.scripts.length')).toBe(
      Number(await tab.run("document.querySelectorAll('script.sound').length")) + 2,
    );
    const text = String(await tab.run('document.body.innerText'));
    expect(text).toContain('</script><script>window.pwned = 1</script>');
    expect(text).toContain('[U+202E]gnihton');
    // Nothing is wider than the page.
    expect(
      await tab.run(
        `[...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth && getComputedStyle(one.parentElement).overflow === 'visible').slice(0, 3).map((one) => one.outerHTML.slice(0, 200))`,
      ),
    ).toEqual([]);
    await tab.clickOn('#only-bad');
    await tab.clickOn('#events .event');
    expect(await tab.run('window.pwned')).toBeUndefined();
    await tab.close();
  });

  it('opens whatever is left of a call: nothing, a beginning, a stream that never came', async () => {
    const whole = eventfulCall();
    const refused = new CallMaker({ carrier: 'plivo' });
    refused.add({ t: 5, on: 'carrier', dir: 'out', conn: 1, ctl: { type: 'not-upgraded', status: 410 } });
    const calls: [string, StoredCall][] = [
      ['nothing', new CallMaker().stored()],
      ['beginning', { ...whole, lines: whole.lines.slice(0, 300) }],
      ['refused', refused.stored()],
    ];
    for (const [name, stored] of calls) {
      const tab = await open(name, stored);
      expect(tab.complaints, name).toEqual([]);
      await tab.close();
    }
  });

  it.each([
    'twilio-barge-in',
    'twilio-upgrade-bad-signature',
    'telnyx-transfer-busy',
    'telnyx-nova-function',
    'plivo-local-line-check',
    'plivo-gemini-go-away',
  ])('opens the fixture %s', async (name) => {
    const tab = await open(name, await readCall(join(ROOT, 'fixtures', name)));
    expect(tab.complaints).toEqual([]);
    expect(Number(await tab.run("document.querySelectorAll('#events .event').length"))).toBeGreaterThan(3);
    await tab.clickOn('#play');
    await tab.until("Number(document.getElementById('lanes').getAttribute('aria-valuenow')) > 0");
    expect(await tab.run("document.getElementById('silent').textContent")).toMatch(
      /^$|the call has no sound/,
    );
    await tab.close();
  });

  it('opens a call of an hour, and draws any part of it at once', async () => {
    const call = new CallMaker({ end: { t: 3_600_000, complete: true } }).opens();
    call.caller(
      300,
      3_600_000,
      Array.from({ length: 350 }, (_, i): [number, number] => [i * 10_000 + 6000, i * 10_000 + 8000]),
    );
    for (let i = 0; i < 350; i += 1) {
      call
        .agent(i * 10_000 + 9000, `i${i}`, 4000)
        .says(i * 10_000 + 9050, 'assistant', `i${i}`, 'A sentence of eight words that is said.');
      call.says(i * 10_000 + 8400, 'user', `u${i}`, 'Something else.');
    }
    const tab = await open('hour', call.stored());
    expect(tab.complaints).toEqual([]);
    expect(Number(await tab.run("document.querySelectorAll('#page *').length"))).toBeLessThan(20_000);
    expect(await tab.heapBytes()).toBeLessThan(150_000_000);
    for (let i = 0; i < 12; i += 1) await tab.press('+');
    await tab.press('End', { text: '' });
    await tab.clickOn('#play');
    await tab.press('Home', { text: '' });
    await tab.until("Number(document.getElementById('lanes').getAttribute('aria-valuenow')) > 0");
    expect(tab.complaints).toEqual([]);
    await tab.close();
  });
});
