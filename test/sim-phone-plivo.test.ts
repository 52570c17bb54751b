import plivo from 'plivo';
import { describe, expect, it } from 'vitest';
import { readPlivoXml } from '../src/sim/phone/plivo/documents.ts';
import { plivoSignature } from '../src/sim/phone/plivo/signature.ts';
import { HandBridge, xml } from './support/hand-bridge.ts';
import { atPlivo, events, isSigned, type Place, pass, passUntil, TOKEN, UUID } from './support/sim-plivo.ts';

describe('signatures of the simulated Plivo', () => {
  const host = 'https://bridge.example.com';
  const nonce = '12345678901234567890';
  const Q = {
    CallUUID: '97ceeb52-58b6-11e1-86da-77300b68f8bb',
    From: '14155550100',
    To: '14155550101',
    CallStatus: 'ringing',
    Direction: 'inbound',
    Event: 'StartApp',
  };

  it.each([
    ['P1', 'POST', '/plivo/answer', Q, 'EMHKE+p4cLiRXhOcRzc/GpjVtw1SNUNvKpR2ICnybSw='],
    ['P2', 'POST', '/plivo/answer?tenant=acme&a=1', Q, 'O+OLL8Bwro93pAuKSpzsufIG56FLGNOgMO0G30v+gW8='],
    [
      'P3',
      'GET',
      '/plivo/answer?To=14155550101&From=14155550100',
      {},
      'hzQNjTcT9kjZWKgIzdDU8OP/42jTzmg0ju+ggKjJs8k=',
    ],
    ['P4', 'POST', '/plivo/answer', {}, '/psz6wx1tAMn15Zw6P+JijzROcOdPVMDtJTZcyqtW/A='],
    ['P6', 'GET', '/plivo/answer?name=a%20b%2Bc', {}, 'SIF2TtLZKmm3sHj/QkaRIvqxi4RLll9du/F+eLo7nP8='],
    [
      'P7',
      'POST',
      '/plivo/answer',
      { CallerName: 'José', X: 'a b+c' },
      'bUR1yp4rNDLUaWR+RvKq3VVaNEWBgDFMTAGkd4dG1yA=',
    ],
    ['P8', 'POST', ':8443/plivo/answer', Q, '0/nqiCZYIQEc19WhX4iq3XmMryv3fbIftqrlO20Uivs='],
    [
      'P9',
      'POST',
      '/plivo/answer',
      { A: ['2', '1'], B: 'x' },
      'vXP1qo0aMFIywCDZ7LNtGm46KSemFI30rpqDT5/yj+U=',
    ],
    ['W1', 'GET', '/plivo/media/tok_abc123', {}, 'CUsqDP3uZ1Mu0nx2ktlhZo1cIM8P7PoVpLTDMTTSkpc='],
  ] as const)('are those of the vector %s', (_name, method, path, fields, signature) => {
    const url = host + path;
    expect(plivoSignature(method, url, fields, nonce, TOKEN)).toBe(signature);
    // A fragment holds settings for Plivo and is not signed.
    expect(plivoSignature(method, `${url}#rc=0`, fields, nonce, TOKEN)).toBe(signature);
  });

  it.each([
    ['http', '', '1xXRirWvql59Se4Zvhz6QugJzntvKHvEx0f9fN9IfCs='],
    ['wss', '', 'gy8wauTfbyUo3Hn81zjVt80h1QexJq5W8YgzzUiiLJU='],
    ['http', '/websocket', 'Hn4JRYeEIaQga2BiI5GqoS/5oELOJr7wKmowS8KYrFI='],
  ])('are those of an upgrade as %s%s', (scheme, more, signature) => {
    const url = `${scheme}://bridge.example.com/plivo/media/tok_abc123${more}`;
    expect(plivoSignature('GET', url, {}, nonce, TOKEN)).toBe(signature);
  });

  it('are taken by the package for any address and form', () => {
    const texts = ['', 'a b', 'ü+é', '100%', 'x&y=z', '//', 'É', '+1415'];
    const pick = (at: number): string => texts[at % texts.length] ?? '';
    const isTaken = (method: 'GET' | 'POST', url: string, fields: Record<string, string>) => {
      const signature = plivoSignature(method, url, fields, nonce, TOKEN);
      const isGood = (of: string) => plivo.validateV3Signature(method, url, of, TOKEN, signature, fields);
      return isGood(nonce) && !isGood(`${nonce}0`);
    };
    for (let i = 0; i < 64; i++) {
      const query = new URLSearchParams({ b: pick(i), a: pick(i >> 3) }).toString();
      const fields = { Zed: pick(i + 1), Abc: pick(i + 2), abc: pick(i + 3) };
      for (const url of [`${host}/p${i}`, `${host}/p${i}?${query}`]) {
        expect([
          url,
          isTaken('POST', url, fields),
          isTaken('POST', url, {}),
          isTaken('GET', url, {}),
        ]).toEqual([url, true, true, true]);
      }
    }
  });
});

describe('Plivo XML', () => {
  const parse = (verbs: string, isAnswered = true) =>
    readPlivoXml(`<Response>${verbs}</Response>`, isAnswered);

  it('is read with the defaults of Plivo', () => {
    const { verbs, warnings } = parse(
      `<Stream> wss://b.example.com/m?a=1&amp;b=2 </Stream><Speak language="de-DE">Hallo</Speak><Wait/><Wait length="3"/><Redirect method="GET">https://b.example.com/next</Redirect><Hangup/>`,
    );
    expect(warnings).toEqual([]);
    expect(verbs).toMatchObject([
      { type: 'connect', wait: false, stream: { url: 'wss://b.example.com/m?a=1&b=2', parameters: {} } },
      { type: 'say', text: 'Hallo', language: 'de-DE' },
      { type: 'pause', lengthS: 1 },
      { type: 'pause', lengthS: 3 },
      { type: 'redirect', url: 'https://b.example.com/next', method: 'GET' },
      { type: 'hangup' },
    ]);
  });

  it.each([
    ['<Hangup/>', false, { type: 'reject', reason: 'rejected' }],
    ['<Hangup reason="busy"/>', false, { type: 'reject', reason: 'busy' }],
    ['<Hangup reason="busy"/>', true, { type: 'hangup' }],
    ['<Stream bidirectional="true" keepCallAlive="true">wss://b</Stream>', true, { wait: true }],
    ['<Stream keepCallAlive="true">wss://b</Stream>', true, { wait: false }],
    ['<Dial><User>sip:a@b.example.com</User></Dial>', true, { values: ['sip:a@b.example.com'] }],
    ['<DTMF>1w2#</DTMF>', true, { name: 'DTMF', values: ['1w2#'] }],
  ])('%s of a call with answered=%s is %j', (text, isAnswered, verb) => {
    expect(parse(text, isAnswered).verbs).toMatchObject([verb]);
  });

  it.each([
    ['<Say>hello</Say>', 'not an element'],
    ['<speak>hello</speak>', 'not an element'],
    ['<Connect><Stream url="wss://b"/></Connect>', 'not an element'],
    ['<Stream url="wss://b"/>', 'no address'],
    ['<Stream statusCallback="/x">wss://b</Stream>', 'no attribute statusCallback'],
    ['<Stream keepCallAlive="true">wss://b</Stream>', 'not bidirectional'],
    ['<Dial>14155550100</Dial>', 'nobody to ring'],
    ['<Dial><Number>+1 415 555</Number></Dial>', 'not a <Number>'],
    ['<Dial confirmKey="1"><Number>14155550100</Number></Dial>', 'needs a confirmSound'],
    ['<DTMF>12x</DTMF>', 'no keys'],
    ['<Hangup reason="tired"/>', 'no reason "tired"'],
    ['<Speak/>', 'says nothing'],
  ])('%s draws a warning', (text, warning) => {
    expect(
      parse(text)
        .warnings.map((one) => one.text)
        .join(),
    ).toContain(warning);
  });

  it('leaves out extra headers that break the rules', () => {
    const headers = (text: string) => {
      const { verbs, warnings } = parse(`<Stream extraHeaders="${text}">wss://b</Stream>`);
      const verb = verbs[0];
      return [verb?.type === 'connect' ? verb.stream.parameters : undefined, warnings.length];
    };
    expect(headers('callRef=c42,from=14155550100')).toEqual([{ callRef: 'c42', from: '14155550100' }, 0]);
    expect(headers('a=b-c,d=e')).toEqual([{ d: 'e' }, 1]);
    expect(headers(`a=${'x'.repeat(510)}`)).toEqual([{ a: 'x'.repeat(510) }, 0]);
    expect(headers(`a=${'x'.repeat(511)}`)).toEqual([{}, 1]);
  });

  it('is refused when it is none', () => {
    expect(() => readPlivoXml('<Response><Speak>', true)).toThrow(/BAD_INPUT: 8011/);
    expect(() => readPlivoXml('<Reply/>', true)).toThrow(/8011/);
  });
});

describe('webhooks of the simulated Plivo', () => {
  it('are signed with a nonce over the public address, and have numbers without a plus', async () => {
    await using place = await atPlivo('<Speak>hello</Speak>');
    const call = place.place({ publicUrl: 'https://bridge.example.com', from: '+14155559999' });
    const report = await call.ended;
    expect(report).toMatchObject({ outcome: 'completed', endedBy: 'document' });
    expect(call.callId).toMatch(UUID);
    const [answer, hangup] = place.told('/voice');
    expect(answer).toMatchObject({
      method: 'POST',
      headers: { host: 'bridge.example.com', 'content-type': 'application/x-www-form-urlencoded' },
      form: {
        CallUUID: call.callId,
        From: '14155559999',
        To: '14155550101',
        CallStatus: 'ringing',
        Direction: 'inbound',
        Event: 'StartApp',
      },
    });
    expect(answer?.form).not.toHaveProperty('ALegUUID');
    expect(answer?.form['X-PH-Tomorrow']).toContain('ü + a&b');
    const origin = 'https://bridge.example.com';
    expect([answer, hangup].map((request) => isSigned(request, origin))).toEqual([true, true]);
    expect(isSigned(answer, origin, 'x-plivo-signature-ma-v3')).toBe(true);
    expect(isSigned(answer, place.bridge.url)).toBe(false);
    const nonces = [answer, hangup].map((request) => request?.headers['x-plivo-signature-v3-nonce']);
    expect(nonces[0]).toMatch(/^\d{20}$/);
    expect(nonces[1]).not.toBe(nonces[0]);
    // Without a hangup URL of its own the end is told where the documents come from.
    expect(hangup?.form).toMatchObject({
      Event: 'Hangup',
      CallStatus: 'completed',
      HangupCause: 'NORMAL_CLEARING',
      HangupCauseCode: '4010',
      HangupCauseName: 'End Of XML Instructions',
      HangupSource: 'Plivo',
    });
  });

  it('come as GET, with everything in the signed query', async () => {
    await using place = await atPlivo('<Speak>hello</Speak>');
    const settings = { answerMethod: 'GET', hangupMethod: 'GET' };
    const webhookUrl = `${place.bridge.url}/voice?tenant=acme`;
    await place.place({ settings, webhookUrl }).ended;
    const [answer, hangup] = place.told('/voice');
    for (const [request, event] of [
      [answer, 'StartApp'],
      [hangup, 'Hangup'],
    ] as const) {
      expect(request).toMatchObject({ method: 'GET', form: {} });
      expect(request?.target).toMatch(new RegExp(`tenant=acme&CallUUID=.*&Event=${event}&`));
      expect(isSigned(request, place.bridge.url)).toBe(true);
    }
  });

  it.each([
    ['both', true, true],
    ['v3-only', true, false],
    ['ma-only', false, true],
    ['subaccount', false, true],
    ['several', true, true],
  ])('carry %s signatures', async (signatures, v3, ma) => {
    await using place = await atPlivo('<Hangup/>');
    await place.place({ settings: { signatures } }).ended;
    const [answer] = place.told('/voice');
    expect(isSigned(answer, place.bridge.url)).toBe(v3);
    expect(isSigned(answer, place.bridge.url, 'x-plivo-signature-ma-v3')).toBe(ma);
    const found = String(answer?.headers['x-plivo-signature-v3']);
    expect(found.split(',')).toHaveLength(signatures === 'several' ? 2 : 1);
  });

  it.each(['bad', 'missing', 'stale'] as const)('can have a %s signature', async (fault) => {
    await using place = await atPlivo('<Hangup/>');
    await place.place({ faults: { webhookSignature: fault } }).ended;
    const [answer] = place.told('/voice');
    // Plivo signs no time.
    expect(isSigned(answer, place.bridge.url)).toBe(fault === 'stale');
    if (fault === 'missing') expect(answer?.headers['x-plivo-signature-v3-nonce']).toBeUndefined();
  });

  it.each([
    ['fresh', 'retry'],
    ['repeated', 'retry'],
    ['repeated', 'concurrent'],
  ] as const)('come again with a %s nonce (%s)', async (nonce, duplicateWebhook) => {
    await using place = await atPlivo('<Hangup/>');
    await place.place({ settings: { nonce }, faults: { duplicateWebhook, duplicateCallbacks: true } }).ended;
    const requests = place.told('/voice');
    expect(events(requests)).toEqual(['StartApp', 'StartApp', 'Hangup', 'Hangup']);
    expect(requests.map((request) => isSigned(request, place.bridge.url))).toEqual(Array(4).fill(true));
    const nonces = requests.map((request) => request.headers['x-plivo-signature-v3-nonce']);
    expect(new Set(nonces).size).toBe(nonce === 'fresh' ? 4 : 2);
  });

  it.each([
    ['<Hangup reason="busy"/>', 'busy', '3010', 'USER_BUSY', 'Answer XML'],
    ['<Hangup reason="rejected"/>', 'rejected', '3020', 'CALL_REJECTED', 'Answer XML'],
    ['<Hangup/>', 'rejected', '3020', 'CALL_REJECTED', 'Answer XML'],
    ['<Speak>bye</Speak><Hangup reason="busy"/>', 'completed', '4000', 'NORMAL_CLEARING', 'Answer XML'],
    ['', 'completed', '4010', 'NORMAL_CLEARING', 'Plivo'],
  ])('tell that a call ended by %s', async (verbs, outcome, code, cause, source) => {
    await using place = await atPlivo(verbs, { '/gone': '' });
    const report = await place.place({ statusCallbackUrl: `${place.bridge.url}/gone` }).ended;
    if (verbs !== '') expect(report.outcome).toBe(outcome);
    expect(place.told('/gone')).toMatchObject([
      {
        form: {
          Event: 'Hangup',
          CallStatus: 'completed',
          HangupCauseCode: verbs === '' ? '7011' : code,
          HangupCause: verbs === '' ? expect.any(String) : cause,
          HangupSource: verbs === '' ? 'Error' : source,
          Duration: '0',
        },
      },
    ]);
  });

  it.each([
    ['an error', { status: 500, body: '' }, '7011'],
    ['a wrong type', { type: 'application/json', body: '<Response/>' }, '8011'],
    ['broken XML', { body: '<Response><Speak>' }, '8011'],
  ])('go to the fallback URL after %s', async (_what, reply, code) => {
    await using place = await atPlivo();
    place.bridge.answer = ({ target }) => (target === '/fallback' ? xml('<Speak>sorry</Speak>') : reply);
    const lost = await place.place().ended;
    expect(lost).toMatchObject({ outcome: 'failed', failure: expect.stringContaining(code) });
    const saved = place.place({ fallbackUrl: `${place.bridge.url}/fallback` });
    expect(await saved.ended).toMatchObject({ outcome: 'completed', failure: undefined });
    expect(saved.eventsOf('say')).toMatchObject([{ text: 'sorry' }]);
    expect(place.told('/fallback')).toMatchObject([{ form: { Event: 'StartApp' } }]);
  });

  it('are tried as often as the fragment says when nobody listens', async () => {
    const gone = await new HandBridge().listen();
    const webhookUrl = `${gone.url}/voice`;
    await gone[Symbol.asyncDispose]();
    await using place = await atPlivo();
    expect((await place.place({ webhookUrl }).ended).failure).toMatch(/7011.*attempt 2/);
    expect((await place.place({ webhookUrl: `${webhookUrl}#rc=4&tt=900` }).ended).failure).toMatch(
      /attempt 5/,
    );
  });

  it('tell of a caller who gives up before the answer came', async () => {
    await using place = await atPlivo('<Speak>hello</Speak>', { '/gone': '' });
    const call = place.place({ statusCallbackUrl: `${place.bridge.url}/gone` });
    expect(await call.hangUp()).toMatchObject({ endedBy: 'caller', durationMs: 0 });
    expect(place.told('/gone')).toMatchObject([
      {
        form: {
          CallStatus: 'completed',
          HangupCause: 'ORIGINATOR_CANCEL',
          HangupSource: 'Caller',
          AnswerTime: '',
        },
      },
    ]);
  });

  it('know only the settings that Plivo has', async () => {
    await using place = await atPlivo();
    expect(() => place.place({ settings: { nonsense: '1' } })).toThrow(
      /BAD_INPUT: settings: found "nonsense"/,
    );
    expect(() => place.place({ settings: { nonce: 'none' } })).toThrow(/settings.nonce: found "none".*fresh/);
  });
});

describe('transfers by the simulated Plivo', () => {
  const dial = (place: Place, more = '') =>
    `<Dial action="${place.bridge.url}/after" callbackUrl="${place.bridge.url}/legs" callerId="14155550102" timeout="20" ${more}><Number>14155550199</Number></Dial>`;
  const confirm = (place: Place) => `confirmSound="${place.bridge.url}/whisper"`;
  const whisper = {
    '/whisper': '<Speak>A caller from Berlin.</Speak><Hangup/>',
    '/after': '<Speak>bye</Speak>',
  };

  it('tell the other leg something before it is connected, and the bridge how it went', async () => {
    await using place = await atPlivo('', whisper);
    place.answers['/voice'] = dial(place, confirm(place));
    const dialResult = { status: 'completed', ringMs: 3000, durationMs: 10_000 } as const;
    const call = place.place({ dialResult });
    await call.next('leg', (leg) => leg.status === 'ringing');
    await pass(place, 3000);
    await call.next('leg', (leg) => leg.status === 'in-progress');
    expect(call.eventsOf('leg-told')).toMatchObject([{ text: 'A caller from Berlin.' }]);
    expect([...call.warnings.keys()].join()).toContain('Play, Wait and Speak');
    await pass(place, 10_000);
    await call.ended;
    const legs = place.told('/legs');
    expect(events(legs)).toEqual(['DialAnswer', 'DialConnected', 'DialHangup']);
    expect(legs.map((request) => isSigned(request, place.bridge.url))).toEqual([true, true, true]);
    expect(legs[0]?.form).toMatchObject({
      CallUUID: call.callId,
      DialAction: 'answer',
      DialALegUUID: call.callId,
      DialBLegUUID: expect.stringMatching(UUID),
      DialBLegFrom: '14155550102',
      DialBLegTo: '14155550199',
    });
    expect(legs[2]?.form).toMatchObject({
      DialAction: 'hangup',
      DialBLegDuration: '10',
      DialBLegHangupCause: 'NORMAL_CLEARING',
      DialBLegHangupCauseCode: '4000',
    });
    expect(place.told('/whisper')).toMatchObject([{ method: 'POST', form: { CallUUID: call.callId } }]);
    expect(place.told('/after')).toMatchObject([
      {
        form: {
          Event: 'Redirect',
          DialStatus: 'completed',
          DialRingStatus: 'true',
          DialALegUUID: call.callId,
          DialBLegUUID: legs[0]?.form['DialBLegUUID'],
        },
      },
    ]);
    expect(call.eventsOf('say')).toMatchObject([{ text: 'bye' }]);
  });

  it.each([
    [{ status: 'busy', ringMs: 1000, durationMs: 0 }, 1000, 'busy', '3010'],
    [{ status: 'no-answer', durationMs: 0 }, 20_000, 'no-answer', '6010'],
    [{ status: 'completed', ringMs: 30_000, durationMs: 5000 }, 20_000, 'no-answer', '6010'],
    [{ status: 'failed', ringMs: 500, durationMs: 0 }, 500, 'failed', '2000'],
  ] as const)('come to nothing with %j', async (dialResult, ms, status, code) => {
    await using place = await atPlivo('', whisper);
    place.answers['/voice'] = dial(place);
    const call = place.place({ dialResult });
    await call.next('leg');
    await pass(place, ms);
    await call.ended;
    expect(place.told('/legs')).toMatchObject([
      { form: { DialAction: 'hangup', DialBLegHangupCauseCode: code, DialBLegDuration: '0' } },
    ]);
    expect(place.told('/after')).toMatchObject([{ form: { DialStatus: status, DialBLegUUID: '' } }]);
  });

  it.each([
    ['1', undefined, true],
    ['1', '1', true],
    ['1', '2', false],
  ])('wait for the key %s when %s is pressed', async (key, legPresses, isConnected) => {
    await using place = await atPlivo('', whisper);
    place.answers['/voice'] = dial(place, `${confirm(place)} confirmKey="${key}" confirmTimeout="5"`);
    const settings = legPresses === undefined ? {} : { legPresses };
    const call = place.place({ settings, dialResult: { status: 'completed', durationMs: 1000 } });
    await passUntil(place, () => call.isOver);
    await call.ended;
    const [last] = place.told('/legs').slice(-1);
    expect(events(place.told('/legs')).includes('DialConnected')).toBe(isConnected);
    expect(last?.form['DialBLegHangupCauseCode']).toBe(isConnected ? '4000' : '9110');
    expect(call.eventsOf('leg-told')).toHaveLength(1);
  });

  it('are not connected when the bridge does not say what is to be told', async () => {
    await using place = await atPlivo('', whisper);
    place.answers['/voice'] = dial(place, `confirmSound="${place.bridge.url}/lost"`);
    place.bridge.answer = ({ target }) =>
      target === '/lost' ? { status: 500, body: '' } : xml(place.answers[target] ?? '');
    const call = place.place({ dialResult: { status: 'completed', durationMs: 1000 } });
    await call.ended;
    expect(events(place.told('/legs'))).toEqual(['DialAnswer', 'DialHangup']);
    expect([...call.warnings.keys()].join()).toContain('confirm_sound');
  });

  it('are torn apart by other instructions', async () => {
    await using place = await atPlivo('', { ...whisper, '/else': '<Speak>else</Speak>' });
    place.answers['/voice'] = dial(place);
    const call = place.place({ dialResult: { status: 'completed', durationMs: 60_000 } });
    await call.next('leg', (leg) => leg.status === 'in-progress');
    const url = `${place.bridge.url}/else`;
    await place.sdk((client) =>
      client.calls.transfer(call.callId, { legs: 'aleg', alegUrl: url, alegMethod: 'POST' } as never),
    );
    await call.ended;
    expect(call.eventsOf('say')).toMatchObject([{ text: 'else' }]);
    expect(place.told('/after')).toEqual([]);
    const [last] = place.told('/legs').slice(-1);
    expect(last?.form).toMatchObject({ DialAction: 'hangup', DialBLegHangupCause: 'ORIGINATOR_CANCEL' });
  });

  it('go on with the document when the action is only told', async () => {
    await using place = await atPlivo('', { '/after': '<Speak>not this</Speak>' });
    place.answers['/voice'] = `${dial(place, 'redirect="false"')}<Speak>this</Speak>`;
    const call = place.place({ dialResult: { status: 'busy', durationMs: 0 } });
    await call.ended;
    expect(place.told('/after')).toMatchObject([{ form: { DialStatus: 'busy' } }]);
    expect(call.eventsOf('say')).toMatchObject([{ text: 'this' }]);
  });
});
