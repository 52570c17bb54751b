import { describe, expect, it } from 'vitest';
import type { CarrierName } from '../src/carrier.ts';
import { startExchange } from '../src/sim/phone.ts';
import { HandBridge, TOKEN } from './support/hand-bridge.ts';

/** A message that the simulated carriers take from a document. */

const SPEECH = new Int16Array(8 * 2000).fill(8000);
/** Faster than life. */
const SPEED = 20;

const RECORDED = { twilio: 'RecordingUrl', telnyx: 'RecordingUrl', plivo: 'RecordUrl' } as const;

async function leave(
  carrier: CarrierName,
  record: string,
  how: { readonly says?: boolean; readonly key?: string; readonly hangsUp?: boolean } = {},
) {
  await using bridge = await new HandBridge().listen();
  const document = `<Response>${record}<Hangup/></Response>`;
  bridge.answer = ({ target }) => {
    // Asked a second time, it has an end.
    const again = bridge.requests.filter((one) => one.target === '/voice/x').length > 1;
    const isDocument = target.startsWith('/voice') && !again;
    return { body: isDocument ? document : '<Response><Hangup/></Response>', type: 'application/xml' };
  };
  await using exchange = await startExchange({ carrier, speed: SPEED, defaults: { authToken: TOKEN } });
  const call = exchange.placeCall({ webhookUrl: `${bridge.url}/voice/x` });
  await call.next('answered');
  if (!record.includes('playBeep="false"')) await call.next('beep');
  if (how.says ?? true) await call.speak(SPEECH);
  if (how.key !== undefined) await call.pressKeys(how.key);
  if (how.hangsUp === true) await call.hangUp();
  const report = await call.ended;
  const [message] = call.eventsOf('message');
  // Where no address was given for it, Plivo tells of the end at the address of the document.
  const asked = (path: string) =>
    bridge.requests.filter(({ target, form }) => target === path && form['Event'] !== 'Hangup');
  return { report, message, asked, call };
}

const CALLBACK = {
  twilio: 'recordingStatusCallback="/saved" recordingStatusCallbackEvent="completed absent"',
  telnyx: 'recordingStatusCallback="/saved"',
  plivo: 'callbackUrl="/saved"',
} as const;

describe.each(['twilio', 'telnyx', 'plivo'] as const)('a message at %s', (carrier) => {
  it('is over with a key, and its recording is told of', async () => {
    const { message, asked } = await leave(carrier, `<Record finishOnKey="#" ${CALLBACK[carrier]}/>`, {
      key: '#',
    });
    expect(message).toMatchObject({ end: 'key' });
    expect(message?.speechMs).toBeGreaterThanOrEqual(2000);
    const [saved] = asked('/saved');
    expect(saved?.form[RECORDED[carrier]]).toMatch(/^https?:/);
    expect(Number(saved?.form['RecordingDuration'])).toBeGreaterThanOrEqual(1);
  });

  it('is over when its time is, and when the caller hangs up', async () => {
    const long = await leave(carrier, `<Record maxLength="4" timeout="60" ${CALLBACK[carrier]}/>`);
    expect(long.message).toMatchObject({ end: 'limit' });
    const left = await leave(carrier, `<Record timeout="60" ${CALLBACK[carrier]}/>`, { hangsUp: true });
    expect(left.message).toMatchObject({ end: 'gone' });
    expect(left.report.endedBy).toBe('caller');
    expect(left.asked('/saved')).toHaveLength(1);
  });

  it('may have no tone, and is over with silence', async () => {
    const { message, call } = await leave(carrier, '<Record playBeep="false" timeout="3"/>');
    expect(call.eventsOf('beep')).toEqual([]);
    expect(message).toMatchObject({ end: 'silence' });
  });
});

describe('after a message', () => {
  it('Twilio asks for the same document once more, unless nothing was said', async () => {
    const said = await leave('twilio', '<Record/>', { key: '1' });
    expect(said.asked('/voice/x')).toHaveLength(2);
    expect(said.asked('/voice/x')[1]?.form).toMatchObject({ Digits: '1', CallStatus: 'in-progress' });
    const silent = await leave('twilio', `<Record ${CALLBACK.twilio}/>`, { says: false });
    expect(silent.asked('/voice/x')).toHaveLength(1);
    expect(silent.asked('/saved')[0]?.form).toMatchObject({ RecordingStatus: 'absent' });
  });

  it('Twilio asks at the action where there is one', async () => {
    const { asked } = await leave('twilio', '<Record action="/after"/>', { key: '#' });
    expect(asked('/voice/x')).toHaveLength(1);
    expect(asked('/after')[0]?.form['RecordingUrl']).toMatch(/^https?:/);
  });

  it.each(['telnyx', 'plivo'] as const)('%s goes on with what follows', async (carrier) => {
    const { asked, report } = await leave(carrier, '<Record/>', { key: '#' });
    expect(asked('/voice/x')).toHaveLength(1);
    expect(report.endedBy).toBe('document');
  });
});
