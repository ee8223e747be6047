package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
)

func TestRemote_without_TLS_is_for_this_machine_alone(t *testing.T) {
	b, err := Open(actor.NewSystem(nil))
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "127.8.9.10", "::1", "localhost"} {
		_, err := b.Remote(host, 0)
		require.NoError(t, err, host)
	}
	for _, host := range []string{"", "0.0.0.0", "::", "10.0.0.7", "db.example.com"} {
		_, err := b.Remote(host, 0)
		require.ErrorIs(t, err, ErrConfig, host)
		require.ErrorContains(t, err, "TrustTheNetwork")
	}
	b, err = Open(actor.NewSystem(nil), TrustTheNetwork())
	require.NoError(t, err)
	config, err := b.Remote("0.0.0.0", 7)
	require.NoError(t, err)
	assert.Equal(t, "0.0.0.0:7", config.Address())
}

func TestRemote_with_TLS_needs_to_know_who_is_a_member(t *testing.T) {
	certificates := []tls.Certificate{{}}
	for says, config := range map[string]*tls.Config{
		"without Certificates": {RootCAs: x509.NewCertPool()},
		"without RootCAs":      {Certificates: certificates},
	} {
		b, err := Open(actor.NewSystem(nil), TLS(config))
		require.NoError(t, err)
		_, err = b.Remote("127.0.0.1", 0)
		require.ErrorIs(t, err, ErrConfig)
		require.ErrorContains(t, err, says)
	}
	config := &tls.Config{Certificates: certificates, RootCAs: x509.NewCertPool()}
	b, err := Open(actor.NewSystem(nil), TLS(config))
	require.NoError(t, err)
	_, err = b.Remote("0.0.0.0", 0)
	require.NoError(t, err)
	assert.Equal(t, tls.NoClientCert, config.ClientAuth, "the user's is not changed")
}
