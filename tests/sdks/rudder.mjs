// The stock @rudderstack/rudder-sdk-node client with its defaults (gzip on): only host and key are ours.
import { createRequire } from "node:module";
const [host, writeKey, node] = process.argv.slice(2);
const library = createRequire(node + "/")("@rudderstack/rudder-sdk-node");
const RudderAnalytics = library.default ?? library;
const client = new RudderAnalytics(writeKey, { dataPlaneUrl: host });
client.identify({ userId: "mei", traits: { email: "mei@example.com", plan: "gold" } });
client.track({ userId: "mei", event: "Order Completed", properties: { order_id: "o1", total: 12.5, currency: "USD" } });
client.page({ userId: "mei", name: "Home", properties: { url: "https://shop.example/?utm_source=news&utm_campaign=spring" } });
client.screen({ userId: "mei", name: "Cart" });
client.group({ userId: "mei", groupId: "acme", traits: { seats: 3 } });
client.alias({ userId: "mei", previousId: "visitor" });
await new Promise((done) => client.flush((error) => { if (error) { console.error(error); process.exitCode = 1; } done(); }));
