// A scatter-gather proxy in Go's standard library: what Miroir is compared with.
//
// It does the same work on every request as Miroir must, and nothing of what Miroir does besides:
// the key is checked, three shards are asked in parallel over kept-alive connections, their answers
// are parsed with encoding/json, merged by score details rule by rule, and written. Hits stay
// json.RawMessage and details are decoded only for hits that get to the head of their list.
// Documents are split by a hash of their id and sent on as they came.
//
//	scatter -listen 127.0.0.1:7000 -nodes http://127.0.0.1:7001,http://127.0.0.1:7002 -key secret
package main

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"
)

const (
	timeout = 30 * time.Second
	slots   = 4096
)

type proxy struct {
	nodes  []string
	key    string
	client *http.Client
}

type rule struct {
	Order         int     `json:"order"`
	Score         float64 `json:"score"`
	MatchingWords int     `json:"matchingWords"`
	TypoCount     int     `json:"typoCount"`
	MatchType     string  `json:"matchType"`
}

type answer struct {
	Hits             []json.RawMessage `json:"hits"`
	Query            json.RawMessage   `json:"query"`
	ProcessingTimeMs int               `json:"processingTimeMs"`
	EstimatedTotal   int               `json:"estimatedTotalHits"`
}

// list is the answer of one shard and the key of its head.
type list struct {
	hits []json.RawMessage
	key  []float64
}

// head reads the key of the first hit that is left; false if there is none.
func (l *list) head() (bool, error) {
	if len(l.hits) == 0 {
		return false, nil
	}
	at := bytes.LastIndex(l.hits[0], []byte(`,"_rankingScoreDetails":`))
	if at < 0 {
		return false, errors.New("a hit without score details")
	}
	var details map[string]rule
	if err := json.Unmarshal(l.hits[0][at+24:len(l.hits[0])-1], &details); err != nil {
		return false, err
	}
	l.key = keyOf(details)
	return true, nil
}

func keyOf(details map[string]rule) []float64 {
	type named struct {
		name string
		rule rule
	}
	rules := make([]named, 0, len(details))
	for name, one := range details {
		rules = append(rules, named{name, one})
	}
	sort.Slice(rules, func(a, b int) bool { return rules[a].rule.Order < rules[b].rule.Order })
	key := make([]float64, 0, len(rules)+1)
	for _, one := range rules {
		switch one.name {
		case "words":
			key = append(key, -float64(one.rule.MatchingWords))
		case "typo":
			key = append(key, float64(one.rule.TypoCount))
		case "exactness":
			key = append(key, matchType(one.rule.MatchType), -float64(one.rule.MatchingWords))
		default:
			key = append(key, -one.rule.Score)
		}
	}
	return key
}

func matchType(name string) float64 {
	switch name {
	case "exactMatch":
		return 0
	case "matchesStart":
		return 1
	}
	return 2
}

func less(a, b []float64) bool {
	for i := range a {
		if i == len(b) || a[i] != b[i] {
			return i < len(b) && a[i] < b[i]
		}
	}
	return false
}

func (p *proxy) search(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	query := map[string]any{}
	if err := json.Unmarshal(raw, &query); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	offset, limit := number(query["offset"], 0), number(query["limit"], 20)
	query["offset"], query["limit"] = 0, offset+limit
	query["showRankingScore"], query["showRankingScoreDetails"] = true, true
	body, err := json.Marshal(query)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	bodies := make([][]byte, len(p.nodes))
	for i := range bodies {
		bodies[i] = body
	}
	answers, err := p.scatter(r.Context(), r.URL.Path, bodies)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	merged, err := merge(answers, offset, limit)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	reply(w, http.StatusOK, merged)
}

func merge(answers [][]byte, offset, limit int) ([]byte, error) {
	lists := make([]*list, 0, len(answers))
	total, slowest := 0, 0
	var query json.RawMessage
	for _, text := range answers {
		var one answer
		if err := json.Unmarshal(text, &one); err != nil {
			return nil, err
		}
		total += one.EstimatedTotal
		slowest = max(slowest, one.ProcessingTimeMs)
		query = one.Query
		l := &list{hits: one.Hits}
		if there, err := l.head(); err != nil {
			return nil, err
		} else if there {
			lists = append(lists, l)
		}
	}
	var out bytes.Buffer
	out.Grow(len(answers[0]) + 512)
	out.WriteString(`{"hits":[`)
	for seen := 0; seen < offset+limit && len(lists) > 0; seen++ {
		best := 0
		for i := 1; i < len(lists); i++ {
			if less(lists[i].key, lists[best].key) {
				best = i
			}
		}
		if seen >= offset {
			if seen > offset {
				out.WriteByte(',')
			}
			writeStripped(&out, lists[best].hits[0])
		}
		lists[best].hits = lists[best].hits[1:]
		if there, err := lists[best].head(); err != nil {
			return nil, err
		} else if !there {
			lists = append(lists[:best], lists[best+1:]...)
		}
	}
	fmt.Fprintf(&out, `],"query":%s,"processingTimeMs":%d,"limit":%d,"offset":%d,"estimatedTotalHits":%d}`,
		query, slowest, limit, offset, total)
	return out.Bytes(), nil
}

// writeStripped leaves out the scores, which stand last in a hit.
func writeStripped(out *bytes.Buffer, hit json.RawMessage) {
	at := bytes.LastIndex(hit, []byte(`,"_rankingScore":`))
	if at < 0 {
		out.Write(hit)
		return
	}
	out.Write(hit[:at])
	out.WriteByte('}')
}

func number(value any, otherwise int) int {
	if given, ok := value.(float64); ok {
		return int(given)
	}
	return otherwise
}

func (p *proxy) documents(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var documents []json.RawMessage
	if err := json.Unmarshal(raw, &documents); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	parts := make([]bytes.Buffer, len(p.nodes))
	for i := range parts {
		parts[i].Grow(len(raw)/len(parts) + len(raw)/8)
		parts[i].WriteByte('[')
	}
	for _, document := range documents {
		var named struct {
			ID json.RawMessage `json:"id"`
		}
		if err := json.Unmarshal(document, &named); err != nil || named.ID == nil {
			http.Error(w, "a document without an id", http.StatusBadRequest)
			return
		}
		hash := fnv.New64a()
		hash.Write(bytes.Trim(named.ID, `"`))
		part := &parts[int(hash.Sum64()%slots)%len(parts)]
		if part.Len() > 1 {
			part.WriteByte(',')
		}
		part.Write(document)
	}
	bodies := make([][]byte, len(parts))
	for i := range parts {
		parts[i].WriteByte(']')
		bodies[i] = parts[i].Bytes()
	}
	if _, err := p.scatter(r.Context(), r.URL.Path, bodies); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	reply(w, http.StatusAccepted, []byte(`{"taskUid":0,"status":"enqueued"}`))
}

// scatter posts one body to each node at the same time and returns their answers.
func (p *proxy) scatter(ctx context.Context, path string, bodies [][]byte) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answers, failed := make([][]byte, len(p.nodes)), make([]error, len(p.nodes))
	var all sync.WaitGroup
	for i, node := range p.nodes {
		all.Add(1)
		go func(i int, node string) {
			defer all.Done()
			answers[i], failed[i] = p.ask(ctx, node+path, bodies[i])
		}(i, node)
	}
	all.Wait()
	return answers, errors.Join(failed...)
}

func (p *proxy) ask(ctx context.Context, url string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+p.key)
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	text := bytes.NewBuffer(make([]byte, 0, max(int(response.ContentLength), 512)+bytes.MinRead))
	_, err = text.ReadFrom(response.Body)
	return text.Bytes(), err
}

func (p *proxy) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(token), []byte(p.key)) != 1 {
			http.Error(w, "invalid_api_key", http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

func reply(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

func main() {
	listen := flag.String("listen", "", "host:port")
	nodes := flag.String("nodes", "", "URLs, with commas between")
	key := flag.String("key", "", "key of clients and nodes")
	flag.Parse()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 64
	transport.DisableCompression = true
	transport.Proxy = nil
	p := &proxy{strings.Split(*nodes, ","), *key, &http.Client{Transport: transport}}
	routes := http.NewServeMux()
	routes.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, []byte(`{"status":"available"}`))
	})
	routes.HandleFunc("/indexes/films/search", p.guarded(p.search))
	routes.HandleFunc("/indexes/films/documents", p.guarded(p.documents))
	server := &http.Server{Addr: *listen, Handler: routes, ReadHeaderTimeout: timeout}
	log.Fatal(server.ListenAndServe())
}
