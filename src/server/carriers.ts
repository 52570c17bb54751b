import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import type { Carrier, CarrierName } from '../carrier.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Log } from '../log.ts';
import type { Random } from '../random.ts';

/** Somebody has said which carriers there are. Otherwise the simulated phone gets in, with a secret made for this run. */
export function hasCarrier({ twilio, telnyx, plivo }: Config): boolean {
  return [twilio.authToken, telnyx.publicKey, plivo.authToken].some((secret) => secret !== undefined);
}

export interface CarrierSetup {
  readonly config: Config;
  /** Takes the place of every carrier's secret. */
  readonly localAuthToken: string | undefined;
  readonly publicUrl: () => string;
  readonly insecure: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  /** How REST interfaces are reached; undefined: by the platform's. */
  readonly fetch?: typeof fetch | undefined;
}

/** Loads only the carriers that are configured; without any, or without signatures, there are all of them. */
export async function makeCarriers(setup: CarrierSetup): Promise<ReadonlyMap<CarrierName, Carrier>> {
  const { twilio, telnyx, plivo } = setup.config;
  const all = setup.localAuthToken !== undefined || setup.insecure;
  const carriers: Carrier[] = [];
  if (all || twilio.authToken !== undefined) carriers.push(await makeTwilio(setup));
  if (all || telnyx.publicKey !== undefined) carriers.push(await makeTelnyx(setup));
  if (all || plivo.authToken !== undefined) carriers.push(await makePlivo(setup));
  return new Map(carriers.map((carrier) => [carrier.name, carrier]));
}

async function makeTwilio(setup: CarrierSetup): Promise<Carrier> {
  const { createTwilio } = await import('../../carriers/twilio.ts');
  const { config, localAuthToken, publicUrl, insecure, fetch } = setup;
  const { authToken = localAuthToken, ...account } = config.twilio;
  return createTwilio({ ...account, authToken, publicUrl, insecure, fetch });
}

async function makeTelnyx(setup: CarrierSetup): Promise<Carrier> {
  const { createTelnyx } = await import('../../carriers/telnyx.ts');
  const { config, localAuthToken, publicUrl, insecure, clock, random, fetch } = setup;
  const { publicKey = localPublicKey(localAuthToken), ...rest } = config.telnyx;
  return createTelnyx({
    ...rest,
    publicKey,
    publicUrl,
    insecure,
    epochMs: () => clock.epoch(),
    random,
    fetch,
  });
}

async function makePlivo(setup: CarrierSetup): Promise<Carrier> {
  const { createPlivo } = await import('../../carriers/plivo.ts');
  const { config, localAuthToken, publicUrl, insecure, clock, log, fetch } = setup;
  const { authToken = localAuthToken, ...account } = config.plivo;
  return createPlivo({
    ...account,
    authToken,
    publicUrl,
    insecure,
    fetch,
    epochMs: () => clock.epoch(),
    onUpgradeSignature: (candidate) => log.debug({ candidate }, 'the media socket of Plivo was signed'),
  });
}

/** The public half of the Ed25519 key whose seed is the SHA-256 of the local secret. */
function localPublicKey(localAuthToken: string | undefined): string | undefined {
  if (localAuthToken === undefined) return undefined;
  const seed = createHash('sha256').update(localAuthToken).digest();
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }));
  return key.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64');
}
