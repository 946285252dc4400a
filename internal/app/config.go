package app

import "time"

// Config is every setting of the program. The tags are the one place where a setting is described: its flag is the key with -
// for ., its variable is WARD_ and the key in capitals with _ for . and -, and in YAML a . opens a level.
type Config struct {
	Target string `default:"all" help:"What this process runs: all, or some of web, api and worker joined by commas."`
	Data   string `default:"data" help:"Folder of the embedded backends." unit:"folder"`
	Cell   string `default:"" help:"Name of the cell that this Ward is; empty where there is only one. Tenants of other cells are referred to them." unit:"name"`

	Insecure bool `default:"false" help:"Listen beyond this machine without TLS: only behind a proxy that ends TLS on a network of its own."`

	HTTP   HTTPConfig   `embed:"" prefix:"http-" group:"HTTP"`
	DB     DBConfig     `embed:"" prefix:"db-" group:"Database"`
	Bus    BusConfig    `embed:"" prefix:"bus-" group:"Bus"`
	Cache  CacheConfig  `embed:"" prefix:"cache-" group:"Cache"`
	Blob   BlobConfig   `embed:"" prefix:"blob-" group:"Blobs"`
	Key    KeyConfig    `embed:"" prefix:"key-" group:"Keys"`
	Seal   SealConfig   `embed:"" prefix:"seal-" group:"Keys"`
	Mail   MailConfig   `embed:"" prefix:"mail-" group:"Mail and sign-in"`
	SignIn SignInConfig `embed:"" prefix:"sign-in-" group:"Mail and sign-in"`
	Log    LogConfig    `embed:"" prefix:"log-" group:"Log and traces"`
	Trace  TraceConfig  `embed:"" prefix:"trace-" group:"Log and traces"`
	Memory MemoryConfig `embed:"" prefix:"memory-" group:"Memory"`
}

// HTTPConfig is how requests are taken.
type HTTPConfig struct {
	Listen             string        `default:"127.0.0.1:8080" help:"Address that answers requests." unit:"host:port"`
	OpsListen          string        `default:"127.0.0.1:8081" help:"Address of /healthz, /readyz and /metrics." unit:"host:port"`
	PublicURL          string        `default:"" help:"Address by which clients reach this, for links in answers; empty takes it from each request." unit:"URL" name:"public-url"`
	Certificate        string        `default:"" help:"TLS certificate and its chain; empty serves without TLS." unit:"PEM file"`
	Key                string        `default:"" help:"Key of the TLS certificate." unit:"PEM file"`
	ACME               string        `default:"" help:"Names, joined by commas, for which certificates are had by ACME; port 443 of each must reach http.listen. Empty: none." unit:"names" name:"acme"`
	ACMEEmail          string        `default:"" help:"Whom the certificate authority tells what is wrong with certificates." unit:"address" name:"acme-email"`
	ACMEDirectory      string        `default:"" help:"Directory of the certificate authority; empty is Let's Encrypt." unit:"URL" name:"acme-directory"`
	Concurrency        int           `default:"256" help:"Requests worked on at once; background work takes at most half." unit:"requests"`
	Queue              int           `default:"1024" help:"Requests that may wait in each lane." unit:"requests"`
	QueueWait          time.Duration `default:"5s" help:"Longest wait in a lane." unit:"duration"`
	UrgentTimeout      time.Duration `default:"10s" help:"Longest answer in the urgent lane." unit:"duration"`
	InteractiveTimeout time.Duration `default:"30s" help:"Longest answer in the interactive lane." unit:"duration"`
	BackgroundTimeout  time.Duration `default:"10m" help:"Longest answer in the background lane." unit:"duration"`
	HeaderTimeout      time.Duration `default:"10s" help:"Longest time a client takes to send a header." unit:"duration"`
	ReadTimeout        time.Duration `default:"1m" help:"Longest time a client takes to send a request." unit:"duration"`
	WriteTimeout       time.Duration `default:"2m" help:"Longest time a client takes to take an answer." unit:"duration"`
	IdleTimeout        time.Duration `default:"2m" help:"Longest rest of a connection between requests." unit:"duration"`
	DrainWait          time.Duration `default:"5s" help:"Time between \"not ready\" and closing the door at a stop, for load balancers." unit:"duration"`
	DrainTimeout       time.Duration `default:"30s" help:"Time for requests in flight at a stop." unit:"duration"`
	Proxies            string        `default:"" help:"Addresses or networks of proxies whose X-Forwarded-For is believed, several joined by commas." unit:"CIDR"`
	Profiles           bool          `default:"false" help:"Serve Go profiles at /debug/pprof/ of the ops address."`
}

// DBConfig is where records are kept.
type DBConfig struct {
	URL         string        `default:"" help:"sqlite:FOLDER or postgres://USER:PASSWORD@HOST/DATABASE; empty is sqlite: and the data folder." unit:"URL" secret:"url"`
	OwnerURL    string        `default:"" help:"PostgreSQL as the role that owns the tables and migrates; empty is db.url." unit:"URL" secret:"url"`
	Migrate     bool          `default:"false" help:"Migrate PostgreSQL at start; embedded databases always are."`
	Connections int           `default:"0" help:"PostgreSQL connections of this process; 0 chooses by CPUs." unit:"connections"`
	Homes       string        `default:"" help:"Where operators may put tenants over HTTP: postgres://HOST:PORT or sqlite:FOLDER, several joined by commas; the command line may anywhere." unit:"URLs"`
	OpenFiles   int           `default:"1200" help:"SQLite databases open at once; a small one takes about 0.4 MB of memory." unit:"files"`
	Mapped      Size          `default:"0" help:"Part of each SQLite database that is mapped into memory, per connection; it counts as memory of the process." unit:"bytes"`
	MaxFile     Size          `default:"0" help:"Size that no SQLite database passes; 0 has no limit." unit:"bytes"`
	Timeout     time.Duration `default:"5s" help:"Longest wait for a connection." unit:"duration"`
}

// BusConfig is where events go.
type BusConfig struct {
	URL      string `default:"nats:embedded" help:"nats:embedded or nats://HOST:PORT, several joined by commas." unit:"URL" secret:"url"`
	Replicas int    `default:"0" help:"Copies of each stream in a cluster; 0 takes 3, and 1 when embedded." unit:"copies"`
}

// CacheConfig is where answers are kept for a while.
type CacheConfig struct {
	URL  string `default:"memory:" help:"memory: or redis://HOST:PORT, a second tier with sealed values." unit:"URL" secret:"url"`
	Size Size   `default:"64MB" help:"Memory of the cache in this process." unit:"bytes"`
}

// BlobConfig is where files go.
type BlobConfig struct {
	URL string `default:"" help:"file:FOLDER or s3://KEY:SECRET@HOST/BUCKET; empty is file: and blobs in the data folder." unit:"URL" secret:"url"`
}

// KeyConfig is what cursors are signed and cached values are sealed with.
type KeyConfig struct {
	Secret string `default:"" help:"32 random bytes in base64, the same for all processes; empty makes them once, in ward.key of the data folder." unit:"base64" secret:"all"`
}

// MailConfig is how mails leave.
type MailConfig struct {
	URL  string `default:"" help:"smtp://USER:PASSWORD@HOST:PORT (with STARTTLS) or smtps://...; empty keeps mails as files in mail of the data folder." unit:"URL" secret:"url"`
	From string `default:"ward@localhost" help:"Sender of mails." unit:"address"`
}

// SignInConfig is how people sign in, for all tenants.
type SignInConfig struct {
	HashWorkers      int     `default:"0" help:"Password hashes computed at once; 0 takes half of the CPUs." unit:"hashes"`
	SurgeShare       float64 `default:"0.25" help:"Share of one CPU that passwords in the queue of activations may take while people work, 0.01 to 1."`
	PrivateProviders bool    `default:"false" help:"Tenants' own OpenID providers may be at private addresses."`
}

// SealConfig is what tenants' data are encrypted with.
type SealConfig struct {
	KMS string `default:"" help:"Key service that wraps tenants' keys: file:FOLDER, secret: (derived from key.secret) or vault://TOKEN@HOST:8200/transit/ward-; empty is file: and keys in the data folder, or secret: when key.secret is set." unit:"URL" secret:"url" name:"kms"`
	Old string `default:"" help:"Key service that wrapped them before, until ward seal rewrap has run; secret:BASE64 is a former key.secret." unit:"URL" secret:"url"`
	Off bool   `default:"false" help:"Keep new data in the clear. For measurements only."`

	Clear bool `default:"false" help:"Read what was kept in the clear while seal.off was set. Without it such data is refused as changed."`
}

// LogConfig is what is written to standard error.
type LogConfig struct {
	Level  string `default:"info" help:"Least severe line that is logged: debug, info, warn or error."`
	Format string `default:"json" help:"json, or text for people."`
	Sample int    `default:"0" help:"Log one of so many successful requests; 0 logs none." unit:"requests"`
}

// TraceConfig is where spans go.
type TraceConfig struct {
	Endpoint string  `default:"" help:"OpenTelemetry collector by OTLP over HTTP, such as http://collector:4318; empty turns traces off." unit:"URL" secret:"url"`
	Ratio    float64 `default:"0.01" help:"Share of requests that are traced, 0 to 1."`
}

// MemoryConfig bounds the heap.
type MemoryConfig struct {
	Limit Size `default:"0" help:"Heap that the garbage collector defends; 0 takes GOMEMLIMIT, or nine tenths of the container's limit." unit:"bytes"`
}
