import { describe, expect, it } from 'vitest';
import { failureDetail } from '../src/failure-detail.ts';

describe('what a log says of a provider that failed', () => {
  it.each([
    ['PROVIDER_CLOSED: api.openai.com closed the session with code 1011: keepalive ping timeout'],
    ['PROVIDER_UNAVAILABLE: no connection to 10.0.0.7:48123: ECONNREFUSED'],
    [
      "PROVIDER_CONFIG: the session was refused: Invalid value: 'marvin'. Supported values are: 'marin' and 'cedar'.",
    ],
    ['PROVIDER_UNAVAILABLE: h.example has been silent for 29000 ms'],
  ])('is all of %s', (message) => {
    expect(failureDetail(message)).toBe(message);
  });

  it.each([
    [
      'closed with code 1007: Invalid text "my name is Ada" found',
      'closed with code 1007: Invalid text "…" found',
    ],
    ['cannot call +49 (151) 2345-6789 now', 'cannot call [number] now'],
    ['account 123456789012 has no access', 'account [number] has no access'],
    ["bad item 'I live in Main Street 5'", "bad item '…'"],
  ])('is of %s no word that somebody said, and no number', (message, wanted) => {
    expect(failureDetail(message)).toBe(wanted);
  });

  it('has an end, and is quick about a very long one', () => {
    expect(failureDetail('x'.repeat(2_000_000)).length).toBeLessThanOrEqual(301);
    expect(failureDetail(`"${' '.repeat(1_000_000)}`).length).toBeLessThanOrEqual(301);
  });
});
