// A program on the official @openai/agents: it is given a port and a folder of spoken questions (PCM, 24 kHz, mono), holds
// a conversation over WebSocket, and prints what it saw as JSON.
import fs from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from "@openai/agents/realtime";
import { z } from "zod";

const [port, folder] = process.argv.slice(2);
const WAIT_MS = 60_000;
const BLOCK_MS = 100;
const BLOCK_BYTES = (24_000 * 2 * BLOCK_MS) / 1000;

const seen = { called: [], interrupted: 0, audio: 0, errors: [], types: {} };
const weather = tool({
  name: "weather",
  description: "Tells the weather of a city.",
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    seen.called.push(city);
    return `sunny in ${city}`;
  },
});
const agent = new RealtimeAgent({ name: "Antiphon", instructions: "Be brief.", tools: [weather] });
const url = `ws://127.0.0.1:${port}/v1/realtime?model=antiphon`;
const transport = new OpenAIRealtimeWebSocket({ url });
const input = { transcription: { model: "whisper-1" }, turnDetection: { type: "server_vad" } };
const session = new RealtimeSession(agent, { transport, model: "antiphon", config: { audio: { input } } });

transport.on("*", (event) => (seen.types[event.type] = (seen.types[event.type] ?? 0) + 1));
session.on("error", (error) => seen.errors.push(error));
session.on("audio", (event) => (seen.audio += event.data.byteLength));
session.on("audio_interrupted", () => (seen.interrupted += 1));

const count = (type) => seen.types[type] ?? 0;

/** Wait until so many events of a type have come since the session began. */
async function until(type, number) {
  const end = Date.now() + WAIT_MS;
  while (count(type) < number) {
    if (Date.now() > end) throw new Error(`${number} ${type} did not come: ${JSON.stringify(seen)}`);
    await sleep(20);
  }
}

/** Say what is in a file, as a microphone would. */
async function speak(name) {
  const pcm = fs.readFileSync(path.join(folder, name));
  for (let at = 0; at < pcm.length; at += BLOCK_BYTES) {
    const block = pcm.subarray(at, at + BLOCK_BYTES);
    session.sendAudio(block.buffer.slice(block.byteOffset, block.byteOffset + block.length));
    await sleep(BLOCK_MS);
  }
}

await session.connect({ apiKey: "none", url });
await until("session.updated", 1);

session.sendMessage("Hello there!");
await until("response.done", 1);
seen.written = seen.audio;

await speak("weather.pcm");
await until("response.done", 3); // one that calls the function, one that speaks of what came of it
seen.spoken = seen.audio;

session.sendMessage("Tell me a long story.");
await until("response.output_audio.delta", count("response.output_audio.delta") + 1);
await sleep(1000);
const retrieved = count("conversation.item.retrieved");
session.interrupt();
await until("conversation.item.truncated", seen.interrupted);
await until("conversation.item.retrieved", retrieved + 1); // the package asks what is left of it

const text = (item) => (item.content ?? []).map((part) => part.transcript ?? part.text ?? "").join("");
seen.history = session.history.map((item) => ({
  type: item.type,
  role: item.role ?? null,
  status: item.status,
  text: text(item),
  output: item.output ?? null,
}));
console.log(JSON.stringify(seen));
session.close();
process.exit(0);
