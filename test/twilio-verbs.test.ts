import VoiceResponse from 'twilio/lib/twiml/VoiceResponse.js';
import { describe, expect, it } from 'vitest';
import { Verb } from '../carriers/twilio/verbs.ts';

/** Twilio's own package is what documents are compared with. */

const TEXTS = [
  '',
  ' ',
  'Good day!',
  `It's "quoted" & <tagged> & ]]> &amp; &#13;`,
  'tab\there, line\nthere, return\rand both\r\n',
  'ünïcödé – 你好 😀',
  '-->',
  '{{guest}}',
];
const URLS = ['wss://example.com/media/twilio/t', 'https://example.com/after?a=1&b="2"\n&c=<3>'];

describe('a verb of TwiML', () => {
  it.each(TEXTS)('is written as Twilio writes it, with the text %j', (text) => {
    for (const url of URLS) {
      const theirs = new VoiceResponse();
      const stream = theirs.connect({ action: url, method: 'POST' }).stream({ url, name: text });
      stream.parameter({ name: text, value: text });
      stream.parameter({ name: 'second', value: '' });
      theirs.say({ language: 'en-GB' }, text);
      theirs.say({}, text);
      theirs.record({ maxLength: 30, playBeep: true, recordingStatusCallbackEvent: ['completed', 'absent'] });
      const dial = theirs.dial({ answerOnBridge: true, timeout: 20, callerId: text });
      dial.number({ statusCallback: url, statusCallbackEvent: ['answered', 'completed'] }, '+14155550100');
      dial.sip({}, 'sip:desk@example.com?a=1&b=2');
      theirs.redirect({ method: 'POST' }, text);
      theirs.reject({ reason: 'busy' });
      theirs.hangup();

      const ours = new Verb('Response');
      const own = ours.add('Connect', { action: url, method: 'POST' }).add('Stream', { url, name: text });
      own.add('Parameter', { name: text, value: text });
      own.add('Parameter', { name: 'second', value: '' });
      ours.add('Say', { language: 'en-GB' }, text);
      ours.add('Say', {}, text);
      const events = ['completed', 'absent'];
      ours.add('Record', { maxLength: 30, playBeep: true, recordingStatusCallbackEvent: events });
      const transfer = ours.add('Dial', { answerOnBridge: true, timeout: 20, callerId: text });
      const told = { statusCallback: url, statusCallbackEvent: ['answered', 'completed'] };
      transfer.add('Number', told, '+14155550100');
      transfer.add('Sip', {}, 'sip:desk@example.com?a=1&b=2');
      ours.add('Redirect', { method: 'POST' }, text);
      ours.add('Reject', { reason: 'busy' });
      ours.add('Hangup');

      expect(ours.toDocument()).toBe(theirs.toString());
    }
  });

  it('is a document of its own without anything inside', () => {
    expect(new Verb('Response').toDocument()).toBe(new VoiceResponse().toString());
  });
});
