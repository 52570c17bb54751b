import alawmulaw from 'alawmulaw';

/** The two companding laws of ITU-T G.711. */
export type Law = 'mulaw' | 'alaw';

/** One law as tables: a load per sample instead of a computation. Read them, never write them. */
export interface LawTables {
  /** Code to PCM16, 256 entries. */
  readonly decode: Int16Array;
  /** PCM16 to code, 65,536 entries; the index is the sample's low 16 bits, `sample & 0xffff`. */
  readonly encode: Uint8Array;
}

interface SampleCodec {
  decodeSample(code: number): number;
  encodeSample(sample: number): number;
}

function buildTables(codec: SampleCodec): LawTables {
  const decode = new Int16Array(256);
  for (let code = 0; code < 256; code++) decode[code] = codec.decodeSample(code);
  const encode = new Uint8Array(65_536);
  for (let bits = 0; bits < 65_536; bits++) encode[bits] = codec.encodeSample((bits << 16) >> 16);
  return { decode, encode };
}

const TABLES: Readonly<Record<Law, LawTables>> = {
  mulaw: buildTables(alawmulaw.mulaw),
  alaw: buildTables(alawmulaw.alaw),
};

/** The tables of one law, built once when the module is loaded and shared by everybody. */
export function lawTables(law: Law): LawTables {
  return TABLES[law];
}

/** A table of 256 codes that turns a code of one law into the code of the other law nearest to it. */
export function lawToLaw(from: Law, to: Law): Uint8Array {
  const { decode } = TABLES[from];
  const { encode } = TABLES[to];
  const table = new Uint8Array(256);
  for (let code = 0; code < 256; code++) table[code] = from === to ? code : encode[decode[code]! & 0xffff]!;
  return table;
}

/** Decodes a whole buffer of codes into new PCM16 samples. */
export function decodeG711(law: Law, codes: Uint8Array): Int16Array {
  const { decode } = TABLES[law];
  const samples = new Int16Array(codes.length);
  for (let i = 0; i < codes.length; i++) samples[i] = decode[codes[i]!]!;
  return samples;
}

/** Encodes a whole buffer of PCM16 samples into new codes. */
export function encodeG711(law: Law, samples: Int16Array): Uint8Array {
  const { encode } = TABLES[law];
  const codes = new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i++) codes[i] = encode[samples[i]! & 0xffff]!;
  return codes;
}
