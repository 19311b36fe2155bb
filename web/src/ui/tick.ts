// A soft tick, higher for buys than for sells. The browser lets no page sound before it was clicked: then nothing is heard.

let context: AudioContext | null = null;

export function click(up: boolean): void {
  try {
    context ??= new AudioContext();
  } catch {
    return; // no sound here
  }
  if (context.state !== "running") {
    void context.resume();
    return;
  }
  const at = context.currentTime;
  const tone = context.createOscillator();
  const gain = context.createGain();
  tone.frequency.value = up ? 880 : 520;
  gain.gain.setValueAtTime(0.06, at);
  gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.07);
  tone.connect(gain).connect(context.destination);
  tone.start(at);
  tone.stop(at + 0.08);
}
