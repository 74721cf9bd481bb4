// The stock posthog-node client with its defaults (gzip on): only host and key are ours.
import { createRequire } from "node:module";
const [host, apiKey, node] = process.argv.slice(2);
const { PostHog } = createRequire(node + "/")("posthog-node");
const client = new PostHog(apiKey, { host });
client.on("error", (error) => { console.error(error); process.exitCode = 1; });
client.identify({ distinctId: "mei", properties: { email: "mei@example.com", plan: "gold" } });
client.capture({ distinctId: "mei", event: "Order Completed", properties: { order_id: "o1", total: 12.5, currency: "USD" } });
client.capture({ distinctId: "mei", event: "$pageview", properties: { $current_url: "https://shop.example/?utm_source=news&utm_campaign=spring" } });
client.capture({ distinctId: "mei", event: "$screen", properties: { $screen_name: "Cart" } });
client.groupIdentify({ groupType: "company", groupKey: "acme", properties: { seats: 3 }, distinctId: "mei" });
client.alias({ distinctId: "mei", alias: "visitor" });
await client.shutdown();
